"""Claims on the geometry of density controls (section TRAIN): the kernelised flow at v = 0, flow maps, geodesics."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from meanfield.claims.claim import Claim, Hypothesis
from meanfield.claims.density_problems import POSITIVE, Levels, Problem, gains_of_order, relative, smooth_problem
from meanfield.claims.ladder import Ladder
from meanfield.claims.rates import fit_rate
from meanfield.claims.runs import final
from meanfield.claims.sweep import sweep
from meanfield.claims.verdict import Measurement
from meanfield.energies import L2Distance, Risk
from meanfield.flow import GradientFlow
from meanfield.geodesics import between, shoot_density
from meanfield.geometries import Hilbert, Kernelised
from meanfield.steppers import RK4
from meanfield.torus.flow_map import grid_points, jacobian_determinant


def kernelised_at_zero(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """TRAIN-5: the rate of μ_1 at v = 0, and how training leaves the kernelised flow."""
    p, expected = ladder.parameters, ladder.expected
    for dim in levels["dim"]:
        problem = smooth_problem(p, dim, p["points"][int(dim) - 1], depth=p["depth"])
        node, rho0 = problem.node, problem.rho0
        for name, loss in problem.losses.items():
            case = f"{name}, d = {dim:g}"
            trained = node.tangent(node.zero(), -node.gradient(node.zero(), rho0, loss), rho0)
            density = GradientFlow(loss, Kernelised(node.kernel))
            rate = density.rate(rho0)
            theory = rate.modes.inverse(rate.at(rho0.values))
            gap = relative(trained, theory)
            yield expected["relative gap of dμ_1/dt to the kernelised flow"].measured(gap, case=case)
            unit = float(np.linalg.norm(rho0.values - rho0.mass) / np.linalg.norm(theory))
            training = GradientFlow(Risk(node, rho0, loss), Hilbert(node.kernel))

            def apart(t, node=node, rho0=rho0, unit=unit, density=density, training=training):
                stepper, end = RK4(dt=unit * t), unit * t
                trained = node.forward(final(training, node.zero(), stepper, end), rho0)
                return relative(trained.values, final(density, rho0, stepper, end).values)

            fit = fit_rate(sweep(apart, {"t": levels["t"]}, seeds=None)["value"], along="t")
            yield expected["order in t of the gap of the two solvers"].measured(fit, case=case)


def characteristics(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """TRAIN-6: density and potential against the flow map, in n and in the step."""
    p, expected = ladder.parameters, ladder.expected
    for dim, axis in enumerate(("n_line", "n_square"), start=1):

        def in_n(n, dim=dim):
            problem = smooth_problem(p, dim, n, depth=p["depth"], substeps=p["substeps_in_n"][dim - 1])
            return against_the_flow_map(problem, *flow_maps(problem))

        errors = sweep(in_n, {"n": levels[axis]}, seeds=None)
        for name, values in errors.data_vars.items():
            gains = gains_of_order(values.values, values.n.values, p["floor_in_n"])
            yield expected["least gain of order in n"].measured(float(gains.min()), case=f"{name}, d = {dim}")
            end = "relative gap at the largest n"
            yield expected[end].measured(float(values[-1]), case=f"{name}, d = {dim}")
        n, fine = p["points"][dim - 1], ladder.reference["substeps"]
        exact = flow_maps(smooth_problem(p, dim, n, depth=p["depth"], substeps=fine))

        def in_the_step(substeps, dim=dim, n=n, exact=exact):
            problem = smooth_problem(p, dim, n, depth=p["depth"], substeps=substeps)
            return against_the_flow_map(problem, *exact)

        errors = sweep(in_the_step, {"substeps": levels["substeps"]}, seeds=None)
        for name, values in errors.data_vars.items():
            fit = fit_rate(values, along="substeps", floor=p["floor_in_the_step"])
            yield expected["order in the step"].measured(fit, case=f"{name}, d = {dim}")


def flow_maps(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """``Φ^{−1}`` on the grid, (d, n, …, n), and ``Φ∘Φ_s^{−1}`` of its points, (n^d, d), in the middle, s = ½."""
    node, first = problem.node, problem.control.copy()
    first[node.depth // 2 :] = 0.0
    starts = node.inverse_flow_map(first, grid_points(node.torus))
    return node.inverse_flow_map(problem.control), node.flow_map(problem.control, starts)


def against_the_flow_map(problem: Problem, back: np.ndarray, arrivals: np.ndarray) -> dict[str, float]:
    """Relative gaps of μ_1 and of ∇I_s, s = ½, to what the flow map says, given as by `flow_maps`.

    ``μ_1 = (ρ_0∘Φ^{−1}) det DΦ^{−1}`` and ``I_s = I_1∘Φ∘Φ_s^{−1}``. Where a control vanishes nothing moves, and the
    differential of the risk is ``μ_s∇I_s``: its first layer is so once v acts in the second half alone, from μ_s on.
    """
    node, torus, v, loss = problem.node, problem.node.torus, problem.control, problem.losses["L2"]
    end = node.forward(v, problem.rho0)
    carried = torus.interpolate(problem.rho0.values, np.moveaxis(back, 0, -1).reshape(-1, torus.dim))
    pushed = carried.reshape(torus.shape) * jacobian_determinant(torus, back)

    second, half = v.copy(), node.depth // 2
    second[:half] = 0.0
    middle = torus.density(node.states(v, problem.rho0)[half])
    slope = node.differential(second, middle, loss)[0] / middle.values
    potential = torus.interpolate(loss.differential(end), arrivals).reshape(torus.shape)
    return {"density": relative(end.values, pushed), "potential": relative(slope, torus.gradient(potential))}


def penalised_minimisers(ladder: Ladder, levels: Levels) -> Iterator[Measurement]:
    """TRAIN-9: speed, stationarity and shooting at the minimisers of ``ℓ(μ_1) + ½λ|v|²``."""
    p, expected = ladder.parameters, ladder.expected
    for dim in levels["dim"]:

        def at_the_minimiser(depth, dim=dim):
            problem = smooth_problem(p, dim, p["points"][int(dim) - 1], depth=depth, substeps=p["substeps"])
            node, rho0, penalty = problem.node, problem.rho0, p["penalty"]
            found = between(node, rho0, problem.target, penalty=penalty, tolerance=p["tolerance"])
            risk = Risk(node, rho0, L2Distance(problem.target), penalty=penalty)
            shot = shoot_density(node, rho0, found.potentials[0], penalty=penalty)
            return {
                "spread": float(found.speeds.std() / found.speeds.mean()),
                "slope": Hilbert(node.kernel).squared_norm(found.control, risk.differential(found.control)),
                "end": relative(shot.densities[-1], found.densities[-1]),
                "control": found.defect,
            }

        errors, case = sweep(at_the_minimiser, {"depth": levels["depth"]}, seeds=None), f"d = {dim:g}"
        yield expected["|∇𝓛|² at the minimiser"].measured(float(errors.slope.max()), case=case)
        yield expected["spread of |v_s|_V over its mean at the finest"].measured(float(errors.spread[-1]), case=case)
        for name, quantity in {
            "spread": "order in L of the spread of |v_s|_V",
            "end": "order in L of the gap of μ_1 to the geodesic shot from (μ_0, I_0)",
            "control": "order in L of the gap of v to the geodesic shot from (μ_0, I_0)",
        }.items():
            yield expected[quantity].measured(fit_rate(errors[name], along="depth"), case=case)


CLAIMS = (
    Claim(
        "TRAIN-5",
        "at v = 0 training moves μ_1 like the kernelised flow ∂_tρ = div(ρ K*(ρ∇δℓ)), and leaves it as O(t²)",
        "first variation at v = 0; Duncan, Nüsken & Szpruch 2019",
        "density_kernelised",
        kernelised_at_zero,
        (POSITIVE,),
    ),
    Claim(
        "TRAIN-6",
        "μ_s = (Φ_s)_# μ_0 and I_s = I_1∘Φ_1∘Φ_s^{−1}, with the flow map of the control",
        "method of characteristics; Younes 2010, ch. 8",
        "density_characteristics",
        characteristics,
        (POSITIVE, Hypothesis("the control has a flow map: s > d/2 + 1", lambda p: p["order"] > 2)),
    ),
    Claim(
        "TRAIN-9",
        "with the penalty ½λ|v|² a minimiser is a geodesic: |v_s|_V is constant in s, and shooting gives it back",
        "Younes 2010, Shapes and Diffeomorphisms, ch. 11; Miller, Trouvé & Younes 2006",
        "density_geodesic",
        penalised_minimisers,
        (
            POSITIVE,
            Hypothesis("λ > 0", lambda p: p["penalty"] > 0),
            Hypothesis("velocities have flow maps: s > d/2 + 1", lambda p: p["order"] > max(p["dim"]) / 2 + 1),
        ),
    ),
)
