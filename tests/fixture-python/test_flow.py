"""What the end-to-end tests expect of the host, without it."""

import unittest

from faas_flow import Response
from faas_flow.testing import run
from flow import define

# The result of the flow with every construct, for the order 7. tests/e2e/tests/e2e/python.rs has it, too.
RESULT = (
    'call=answered|wait=timed-out|S=left=TIMED-OUTl,right=refused|C=c=caught rejected at C[c]/n,a/b=C[a%2Fb]/n|'
    "F=x:ok,y:rejected,z:ok|refuse=x:ok,y:rejected,z:ok+++|N="
)


class Everything(unittest.TestCase):
    def test_a_run_without_a_host_gives_the_result_of_the_host(self) -> None:
        a_run = run(define, '{"id": 7}').function("echo", lambda call: call.body)
        a_run.function("missing", Response(404))
        self.assertEqual(a_run.result().decode(), RESULT)
        echo = a_run.calls[0]
        self.assertEqual((echo.url, echo.body), ("http://function/echo?q=a%20b", b'{"id":7,"path":"call"}!'))
        key = ("X-Faas-Flow-Idempotency-Key", "test/call/1")
        sent = [("x-a", "1"), ("Content-Type", "application/json"), key, ("X-Faas-Flow-Reqid", "test"), ("x-b", "2")]
        self.assertEqual(echo.headers, sent)
        response = a_run.response
        assert response is not None
        self.assertEqual((response.status, response.header("x-order"), a_run.labels), (201, "7", {"order": "7"}))
