"""Claims by id, from section modules that are imported when a claim of theirs is first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from meanfield._check import fail
from meanfield.claims._schema import nearest
from meanfield.claims.claim import Claim


@dataclass(frozen=True)
class Registry:
    """Sections of claims.

    Parameters
    ----------
    sections : mapping of prefix to module — ``{"PME": "meanfield.claims.porous_medium"}``; the module holds a tuple
        ``CLAIMS`` whose ids start with that prefix
    """

    sections: Mapping[str, str] = field(default_factory=dict)

    def get(self, claim_id: str) -> Claim:
        """The claim ``claim_id``; a ``ValueError`` names the nearest one."""
        prefix = claim_id.partition("-")[0]
        if prefix not in self.sections:
            raise fail("a claim's id must start with a known section", repr(claim_id), nearest(prefix, self.sections))
        claims = {claim.id: claim for claim in self._section(prefix)}
        if claim_id not in claims:
            raise fail(f"a claim's id must be in section {prefix}", repr(claim_id), nearest(claim_id, claims))
        return claims[claim_id]

    def all(self) -> tuple[Claim, ...]:
        """Every claim, in the order of the sections."""
        return tuple(claim for prefix in self.sections for claim in self._section(prefix))

    def _section(self, prefix: str) -> tuple[Claim, ...]:
        module = self.sections[prefix]
        claims = tuple(
            claim for claim in importlib.import_module(module).CLAIMS if claim.id.partition("-")[0] == prefix
        )
        ids = [claim.id for claim in claims]
        if len(set(ids)) != len(ids) or not ids:
            raise fail(f"{module}.CLAIMS must hold claims of {prefix}, each id once", str(ids), "correct the module")
        return claims
