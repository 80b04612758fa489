"""One run of a case, resumed from its file: ``python kill_runner.py CASE FILE [AIM]``. It is there to be killed.

It prints "saving i" and "saved i" around every save, "writing" and "written" around the creation of a whole file. At
the moment aimed at it prints "aim", and from there on everything the library writes goes slowly and in halves, so that
a kill finds it in the middle. AIM: ``save:i`` (save i or the first after it), ``open`` (the file is created, or taken
over), ``finish`` (the rewrite at the end), ``anywhere:i`` (as ``save:i``, but nothing is slow).
"""

import sys
import time

from kill_cases import make_case

import meanfield as mf
from meanfield.output import FileRecorder, _file

PAUSE = 0.001


def say(*words):
    print(*words, flush=True)


def slowly(function):
    """The function with a pause before and after it, once `slowly.down` is set."""

    def wrapped(*arguments, **options):
        time.sleep(PAUSE * slowly.down)
        result = function(*arguments, **options)
        time.sleep(PAUSE * slowly.down)
        return result

    return wrapped


slowly.down = False


def aim_now(slow=True):
    slowly.down = slow
    say("aim")


def hook(aim):
    """Patch the library's writing, in this process: report the saves, go slowly from the aim on."""
    put, save, finish, write = _file.put, FileRecorder.save, FileRecorder.finish, _file.write

    def put_in_halves(stream, place, values):
        data = values.reshape(-1)
        half = len(data) // 2
        put(stream, place, data[:half])
        time.sleep(PAUSE * slowly.down)
        put(stream, place + data[:half].nbytes, data[half:])

    def reported_save(self, index, *arguments):
        kind, _, first = aim.partition(":")
        if first and index >= int(first):
            aim_now(slow=kind == "save")
        say("saving", index)
        save(self, index, *arguments)
        say("saved", index)

    def reported_finish(self, *arguments):
        if aim == "finish":
            aim_now()
        finish(self, *arguments)

    def reported_write(*arguments, **options):
        if aim == "open" and not slowly.down:
            aim_now()
        say("writing")
        places = write(*arguments, **options)
        say("written")
        return places

    FileRecorder.save, FileRecorder.finish, _file.write = reported_save, reported_finish, reported_write
    _file.put = put_in_halves
    for name in ("sync", "_lay_out", "_copy", "_copy_rows", "_sync_path", "_reserve"):
        setattr(_file, name, slowly(getattr(_file, name)))
    _file.os.replace = slowly(_file.os.replace)


def main(name, path, aim=""):
    flow, state, options = make_case(name)
    hook(aim)
    dataset = mf.solve(flow, state, **options, out=path, resume=True, progress=False)
    say("done", dataset.status)


if __name__ == "__main__":
    main(*sys.argv[1:])
