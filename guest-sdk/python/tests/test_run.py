"""Whole runs with functions of the test."""

import unittest
from typing import Any

from faas_flow import Backoff, Context, Dag, Failed, Gathered, Inputs, Outcome, Reject, Request, Response, Workflow
from faas_flow.testing import Fake, RunFailed, run


def order(workflow: Workflow, context: Context) -> None:
    """An order: it is charged, its items are shipped one by one, and a person may be asked."""

    @workflow.finally_
    def ended(outcome: Outcome) -> None:
        context.info(outcome.value)

    def declined(failed: Failed) -> str:
        if failed.status == 402:
            return "declined"
        raise Reject(str(failed))

    dag = workflow.dag
    dag.node("charge").apply("charge").retry(Backoff(3)).recover_from(declined)
    paid = dag.condition("paid", ["yes", "no"], lambda answer: ["no" if answer == b"declined" else "yes"])
    paid.branch("no").node("tell").modify(lambda answer: answer)
    items = paid.branch("yes").for_each("items", lambda answer: {item: item for item in answer.decode().split()})
    items.dag.node("ship").apply("ship")
    items.tolerate(1).gather(report)
    dag.edge("charge", "paid")


def report(items: list[Gathered]) -> str:
    return ", ".join(f"{item.key}: {item.failed.message if item.failed else 'shipped'}" for item in items)


class Runs(unittest.TestCase):
    def test_functions_answer_and_the_calls_are_known(self) -> None:
        a_run = run(order, "7").function("charge", "tea milk").function("ship", lambda request: request.body)
        self.assertEqual(a_run.result(), b"tea: shipped, milk: shipped")
        self.assertEqual([name for name, _ in a_run.calls], ["charge", "ship", "ship"])
        self.assertEqual(a_run.calls[0][1].body, b"7")

    def test_a_status_is_caught_by_the_call(self) -> None:
        self.assertEqual(run(order).function("charge", Response(402)).result(), b"declined")

    def test_a_call_is_tried_again_and_then_fails_the_run(self) -> None:
        fake = Fake()
        a_run = run(order, "", fake).function("charge", Response(503, (), b"busy"))
        with self.assertRaisesRegex(RunFailed, "`charge` answered with status 503: busy") as caught:
            a_run.result()
        self.assertEqual(len(a_run.calls), 3)
        self.assertEqual(caught.exception.failed.code, "FF0012")
        self.assertEqual([line for _, line in fake.logs], ["failure"])

    def test_a_connection_that_breaks_is_tried_again(self) -> None:
        tries: list[Request] = []

        def flaky(request: Request) -> str:
            tries.append(request)
            if len(tries) == 1:
                raise ConnectionError("broken")
            return "tea"

        self.assertEqual(run(order).function("charge", flaky).function("ship", "").result(), b"tea: shipped")

    def test_items_may_fail_as_often_as_tolerated(self) -> None:
        def ship(request: Request) -> Response:
            return Response(404 if request.body == b"milk" else 200)

        a_run = run(order).function("charge", "tea milk").function("ship", ship)
        self.assertEqual(a_run.result(), b"tea: shipped, milk: `ship` answered with status 404")
        with self.assertRaises(RunFailed):
            run(order).function("charge", "tea milk").function("ship", Response(404)).result()

    def test_a_function_that_the_test_does_not_give_is_named(self) -> None:
        with self.assertRaisesRegex(LookupError, r"add \.function\('charge', …\) to the run"):
            run(order).result()

    def test_joins_forwarders_and_dags_give_nodes_their_data(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            inner = Dag()
            inner.node("a").modify(lambda data: data + b"a")
            inner.node("b").modify(lambda data: data + b"b")
            inner.edge("a", "b")
            dag = workflow.dag
            dag.node("start")
            dag.sub_dag("S", inner)
            dag.node("alone").modify(lambda data: b"[" + data + b"]")
            dag.node("end").aggregator(join)
            dag.edge("start", "S").forwarder(lambda data: data.upper())
            dag.edge("start", "alone").execution()
            dag.edge("S", "end")
            dag.edge("alone", "end")

        def join(inputs: Inputs) -> str:
            return ",".join(f"{name}={value.decode()}" for name, value in inputs.items())

        self.assertEqual(run(define, "x").result(), b"S=Xab,alone=[]")

    def test_a_repeat_runs_until_its_function_is_content(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            rounds = workflow.dag.repeat("R", lambda data, round: len(data) < 3).most(5)
            rounds.dag.node("n").modify(lambda data: data + context.node.encode()[2:3])

        self.assertEqual(run(define).result(), b"123")

    def test_a_wait_gets_its_signal_or_times_out(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            workflow.dag.node("n").wait_for("paid").timeout(60).recover_from(lambda failed: failed.kind.value)

        self.assertEqual(run(define).signal("paid", "yes").result(), b"yes")
        self.assertEqual(run(define).result(), b"timed-out")

    def test_media_types_go_with_the_data(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            node = workflow.dag.node("n").modify_json(lambda value: value).apply("f")
            node.modify(lambda data: context.content_type)

        a_run = run(define, "{}").function("f", Response(200, [("content-type", "text/csv")]))
        self.assertEqual(a_run.result(), b"text/csv")
        self.assertEqual(a_run.calls[0][1].header("Content-Type"), "application/json")
        self.assertEqual(a_run.content_type, "application/octet-stream")

    def test_what_a_failed_attempt_has_set_is_dropped(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            def set_and_fail(data: bytes) -> bytes:
                context.set("seen", True)
                context.label("seen", "yes")
                raise Reject("no")

            workflow.dag.node("n").modify(set_and_fail).recover_from(lambda _: str(context.get("seen")))

        fake = Fake()
        self.assertEqual(run(define, "", fake).result(), b"None")
        self.assertEqual(fake.labels, {})

    def test_the_failure_handler_replaces_the_answer(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            workflow.on_failure(lambda failure: f"sorry: {failure}")
            workflow.sync_node().modify(refuse)

        def refuse(data: bytes) -> bytes:
            raise Reject("no")

        with self.assertRaisesRegex(RunFailed, "^sorry: no$"):
            run(define).result()

    def test_a_flow_whose_nodes_wait_for_each_other_is_named(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            dag = workflow.dag
            dag.node("a")
            dag.node("b")
            dag.edge("a", "b")
            dag.edge("b", "a")

        with self.assertRaisesRegex(ValueError, "the nodes a, b of the flow wait for each other"):
            run(define).result()

    def test_a_condition_must_choose_a_branch_that_exists(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            workflow.dag.condition("C", ["a"], lambda data: data.decode().split()).branch("a").node("n")

        cases: list[Any] = [("", "FF0202"), ("b", "FF0201"), ("a a", "FF0203")]
        for data, code in cases:
            with self.subTest(code), self.assertRaises(RunFailed) as caught:
                run(define, data).result()
            self.assertEqual(caught.exception.failed.code, code)
