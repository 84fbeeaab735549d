"""Runs the client tests and says at the end how many passed.

`python3 run.py [-v] [NAME ...]`, where a name is a module, a class or a test."""

import sys
import time
import unittest

MODULES = [
    "etcdctl_parity", "commands", "grpc_raw", "errors", "watches", "leases", "locks", "alarms", "snapshots",
    "grpc_google", "http_gateway", "web_sockets", "http_status", "http_api", "http_admin", "services", "console",
    "bad_input", "bad_peers", "bad_directories", "wrapper", "differential", "stock_clients",
]


class Result(unittest.TextTestResult):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.failed_tests = set()
        self.succeeded = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.succeeded += 1

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.failed_tests.add(test.id())

    def addError(self, test, error):
        super().addError(test, error)
        self.failed_tests.add(test.id())

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.failed_tests.add(test.id())

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.failed_tests.add(test.id())  # once, however many of its parts


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "-v"]
    suite = unittest.defaultTestLoader.loadTestsFromNames(arguments or MODULES)
    begin = time.monotonic()
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2 if "-v" in sys.argv else 1, resultclass=Result).run(
        suite
    )
    for test, reason in result.skipped:
        print(f"skipped: {test.id()}: {reason}")
    for test, _ in result.expectedFailures:
        print(f"known to fail: {test.id()}")
    print(f"{time.monotonic() - begin:.0f} seconds")
    print(f"{result.succeeded} passed, {len(result.failed_tests)} failed")
    sys.exit(1 if result.failed_tests else 0)


if __name__ == "__main__":
    main()
