"""What the scripts in this directory share: named checks whose values are printed, one JSON line each, so that a run
against one server can be laid beside a run against another. A check that raises is printed too, and the rest go on."""

import asyncio
import json
import sys
import time
import traceback

# The servers, as host and port; the script is given them as its one argument.
ENDPOINTS = [(host, int(port)) for host, _, port in (part.partition(":") for part in sys.argv[1].split(","))]
HOST, PORT = ENDPOINTS[0]

_failed = []


def plain(value):
    """As JSON can say it."""
    if isinstance(value, (bytes, bytearray)):
        return "b:" + bytes(value).decode("latin-1")
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(part) for part in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)


def _say(name, value=None, error=None):
    print(json.dumps({"check": name, **({"error": error} if error else {"value": plain(value)})}), flush=True)


def check(name):
    """Runs the function that it decorates; its value is compared with what another server gave."""

    def decorate(function):
        try:
            _say(name, function())
        except Exception:
            _failed.append(name)
            _say(name, error=traceback.format_exc(limit=-4))
        return function

    return decorate


class AsyncChecks:
    def __init__(self, seconds=20):
        self.functions = []
        self.seconds = seconds

    def __call__(self, name):
        def decorate(function):
            self.functions.append((name, function))
            return function

        return decorate

    async def run(self, *arguments):
        for name, function in self.functions:
            try:
                _say(name, await asyncio.wait_for(function(*arguments), self.seconds))
            except Exception:
                _failed.append(name)
                _say(name, error=traceback.format_exc(limit=-4))


def raised(function, *arguments, **options):
    """The name and the text of what a call raises, that must raise."""
    try:
        value = function(*arguments, **options)
    except Exception as error:
        return described(error)
    raise AssertionError(f"raised nothing, but gave {value!r}")


async def raised_in(awaitable):
    try:
        value = await awaitable
    except Exception as error:
        return described(error)
    raise AssertionError(f"raised nothing, but gave {value!r}")


def described(error):
    return type(error).__name__, getattr(error, "details", lambda: str(error))()


def patiently(function, *arguments):
    """A cluster takes nobody in until its members have been connected for five seconds."""
    for _ in range(40):
        try:
            return function(*arguments)
        except Exception as error:
            if "unhealthy" not in described(error)[1] and type(error).__name__ != "ConnectionFailedError":
                raise
            time.sleep(0.25)
    return function(*arguments)


async def patiently_in(call, *arguments, **options):
    """As `patiently`, for a call that is awaited."""
    for _ in range(40):
        try:
            return await call(*arguments, **options)
        except Exception as error:
            if "unhealthy" not in str(error):
                raise
            await asyncio.sleep(0.25)
    return await call(*arguments, **options)


def exit_code():
    return 1 if _failed else 0


def finish():
    sys.exit(exit_code())
