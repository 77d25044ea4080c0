"""What the end-to-end tests expect of the host, without it."""

import unittest

from faas_flow import Request, Response
from faas_flow.testing import Fake, run
from flow import define

# The result of the flow with every construct, for the order 7. tests/e2e/tests/e2e/python.rs has it, too.
RESULT = (
    'call=answered|wait=timed-out|S=left=TIMED-OUTl,right=refused|C=c=caught rejected at C[c]/n,a/b=C[a%2Fb]/n|'
    "F=x:ok,y:rejected,z:ok|refuse=x:ok,y:rejected,z:ok+++|N="
)


class Everything(unittest.TestCase):
    def test_a_run_without_a_host_gives_the_result_of_the_host(self) -> None:
        fake = Fake()
        a_run = run(define, '{"id": 7}', fake).function("echo", lambda request: request.body)
        a_run.function("missing", Response(404))
        self.assertEqual(a_run.result().decode(), RESULT)
        echo = a_run.calls[0][1]
        self.assertEqual((echo.url, echo.body), ("http://gateway/function/echo?q=a%20b", b'{"id":7,"path":"call"}!'))
        self.assertEqual(echo.headers, [("x-a", "1"), ("content-type", "application/json"), ("x-b", "2")])
        response = fake.response
        assert response is not None
        self.assertEqual((response.status, response.header("x-order"), fake.labels), (201, "7", {"order": "7"}))
