"""What the context answers and remembers in tests, and the JSON helpers."""

import unittest
from collections.abc import Callable
from typing import Any

from faas_flow import Context, Level, Reject, Request, Response, State, Workflow
from faas_flow.testing import Fake, Flow


class ContextInTests(unittest.TestCase):
    def test_values_and_logs_are_remembered(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            def count(data: bytes) -> bytes:
                number = context.get("count", 0) + 1
                context.set("count", number)
                context.warn(f"{number} of {context.header('X-Limit')[0]}")
                context.delete("old")
                return context.inputs.concat()

            workflow.sync_node().modify(count)

        fake = Fake(headers={"x-limit": "9"}, inputs={"n1": "in"}, values={"old": "x"})
        flow = Flow(define, fake)
        self.assertEqual(flow.modify("sync/0", ""), b"in")
        flow.modify("sync/0", "")
        self.assertEqual((fake.get("count"), fake.get("old")), (2, None))
        self.assertEqual(fake.logs[1], (Level.WARN, "2 of 9"))

    def test_json_has_its_media_type_and_no_spaces(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            workflow.dag.node("n").modify_json(lambda row: {**row, "ü": 1})

        fake = Fake()
        flow = Flow(define, fake)
        self.assertEqual(flow.modify("n/0", '{"a": [1, 2]}'), '{"a":[1,2],"ü":1}'.encode())
        self.assertEqual(fake.returned_content_type, "application/json")
        with self.assertRaises(ValueError):
            flow.modify("n/0", "{")

    def test_answers_labels_and_addresses_are_checked_as_the_host_does(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            def act(data: bytes) -> str:
                context.respond(201, {"Location": "/orders/7"})
                context.label("order", "7")
                context.set_content_type("text/html; charset=utf-8")
                return context.signal_url("approval", valid=60)

            workflow.sync_node().modify(act)

        fake = Fake(request_id="r1", flow_name="orders")
        url = Flow(define, fake).modify("sync/0", "")
        self.assertEqual(url, b"https://example.org/function/orders/flow/r1/signal/approval?signature=test")
        response = fake.response
        assert response is not None
        self.assertEqual((response.status, response.header("LOCATION")), (201, "/orders/7"))
        self.assertEqual(fake.labels, {"order": "7"})
        self.assertEqual(fake.returned_content_type, "text/html; charset=utf-8")
        context = fake.context()
        refused: list[Any] = [
            lambda: context.label("-", ""),
            lambda: context.label("a", "x" * 129),
            lambda: context.set_content_type("html"),
            lambda: context.respond(202),
            lambda: context.signal_url("a b"),
            lambda: context.set("", 1),
        ]
        for call in refused:
            self.assertRaises(Reject, call)

    def test_nothing_can_be_changed_in_define(self) -> None:
        changes: list[Callable[[Context], None]] = [
            lambda context: context.set("a", 1),
            lambda context: context.delete("a"),
            lambda context: context.label("a", "b"),
            lambda context: context.respond(201),
        ]
        for change in changes:

            def define(workflow: Workflow, context: Context) -> None:
                change(context)

            with self.assertRaisesRegex(Reject, "define"):
                Flow(define)

    def test_facts_are_those_of_the_test(self) -> None:
        fake = Fake(query={"a": ["1", "2"]}, state=State.FAILED, node="C[c1]/n1", content_type="text/plain")
        context = fake.context()
        self.assertEqual((context.query("a"), context.query("b")), (["1", "2"], []))
        self.assertEqual((context.state, context.node, context.content_type), (State.FAILED, "C[c1]/n1", "text/plain"))
        self.assertEqual((context.request_id, context.flow_name), ("test", "flow"))

    def test_requests_and_responses_are_changed_in_copies(self) -> None:
        request = Request("POST", "http://example.test/orders", [("Accept", "text/plain")])
        changed = request.without_header("accept").with_header("x-a", "1").with_body("{}").with_url("http://example.test/")
        self.assertEqual((changed.headers, changed.json(), changed.url), ([("x-a", "1")], {}, "http://example.test/"))
        self.assertEqual((request.header("ACCEPT"), request.body), ("text/plain", b""))
        self.assertEqual(Response(200, (), b"[1]").json(), [1])
