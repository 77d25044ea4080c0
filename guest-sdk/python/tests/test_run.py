"""Whole runs with functions of the test."""

import unittest
from typing import Any

from datetime import timedelta

from faas_flow import Backoff, Context, Dag, Exhausted, Failed, FailureKind, Gathered, Inputs, Level, Outcome, Reject, Request
from faas_flow import Response, Retry, State, Wake, Workflow
from faas_flow.testing import Answer, Call, Fake, Run, RunFailed, run

HOUR = timedelta(hours=1)


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
        calls = [f"{call.node}: {call.method} {call.function} {call.body.decode()}" for call in a_run.calls]
        items = ["paid[yes]/items[tea]/ship: POST ship tea", "paid[yes]/items[milk]/ship: POST ship milk"]
        self.assertEqual(calls, ["charge: POST charge 7", *items])
        nodes = ["charge", "paid", "paid[yes]/items", "paid[yes]/items[tea]/ship", "paid[yes]/items[milk]/ship"]
        self.assertEqual(a_run.ran, nodes)
        self.assertEqual((a_run.state, a_run.failure, a_run.logs), (State.SUCCEEDED, None, [(Level.INFO, "success")]))
        self.assertEqual(a_run.calls[1].header("x-faas-flow-idempotency-key"), "test/paid[yes]/items[tea]/ship/0")

    def test_a_status_is_caught_by_the_call(self) -> None:
        self.assertEqual(run(order).function("charge", Response(402)).result(), b"declined")

    def test_a_busy_function_is_called_again_after_the_time_for_which_it_asks(self) -> None:
        busy = Response(503, [("Retry-After", "30")])
        a_run = run(order).answers("charge", busy, Answer(error="broken"), "tea").function("ship", "")
        self.assertEqual(a_run.result(), b"tea: shipped")
        tries = [(call.tries, call.at.total_seconds()) for call in a_run.calls[:3]]
        self.assertEqual(tries, [(1, 0), (2, 30), (3, 30.2)])
        self.assertEqual(a_run.took.total_seconds(), 30.2)

    def test_when_the_tries_are_used_up_the_run_fails(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            node = workflow.dag.node("n").retry(Backoff(2, first_delay=60))
            node.apply("f").retry(Backoff(2))

        a_run = run(define).function("f", Response(500, (), b"busy\n"))
        failed = a_run.failure
        assert failed is not None and a_run.response is not None
        facts = (failed.code, failed.kind, failed.path, failed.tries)
        self.assertEqual(facts, ("FF0207", FailureKind.ANSWERED, "n", 2))
        text = "FF0207 at n: `f` answered with status 500: busy (the retry policy of the node ran out after 2 attempts)"
        self.assertEqual((a_run.response.status, a_run.response.body.decode()), (502, text + "\n"))
        self.assertEqual((len(a_run.calls), a_run.state, a_run.took.total_seconds()), (4, State.FAILED, 10.2))
        calls = r"the calls that it made:\n  0:00:00 n: POST f b''"
        with self.assertRaisesRegex(RunFailed, rf"^the run has failed: FF0207 at n: (.|\n)*{calls}"):
            a_run.result()

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
        known = r"node `charge` calls `charge`, .* \(it has answers for `ship`, `track`\): add \.function\('charge', …\)"
        with self.assertRaisesRegex(LookupError, known):
            run(order).function("track", "").function("ship", "").result()

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
            workflow.dag.node("n").wait_for("paid").timeout(60).recover_from(lambda failed: failed.message)

        paid = run(define).signal_after(30, "paid", "yes")
        self.assertEqual((paid.result(), paid.took.total_seconds()), (b"yes", 30))
        for late in (run(define), run(define).signal_after(HOUR, "paid", "yes")):
            message = b"no signal `paid` came in 1 min: send it earlier, or give the wait a longer timeout"
            self.assertEqual((late.result(), late.took.total_seconds()), (message, 60))

    def test_a_signal_that_never_comes_is_named_and_so_is_one_for_which_nobody_waits(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            workflow.dag.node("n").wait_for("paid")

        with self.assertRaisesRegex(LookupError, r"waits for the signal `paid`, .*: add \.signal\('paid', …\) to the run"):
            run(define).result()
        with self.assertRaisesRegex(LookupError, "the signal `payed`, for which the flow never waits: it waits for `paid`"):
            run(define).signal("payed").result()
        over = run(define).signal("paid")
        over.result()
        with self.assertRaisesRegex(RuntimeError, "the run has taken place: say a signal before"):
            over.signal("paid")

    def test_the_answer_of_a_call_or_the_body_of_a_signal_names_the_next_signal(self) -> None:
        def named(data: bytes) -> str:
            return f"signed-by-{data.decode()}"

        def define(workflow: Workflow, context: Context) -> None:
            call = workflow.dag.node("n").apply("author")
            wait = call.wait_for_named(named).timeout(HOUR).wait_for_named(named).timeout(1)
            wait.recover_from(lambda failed: f"{failed.input.decode()}; {failed.message}")

        def author() -> Run:
            return run(define).answers("author", "ada").signal("signed-by-ada", "bob")

        self.assertEqual(author().signal("signed-by-bob", "done").result(), b"done")
        self.assertRegex(author().result().decode(), "^bob; no signal `signed-by-bob` came in 1 s")

    def test_items_wait_for_signals_of_their_own(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            each = workflow.dag.for_each("F", lambda data: {"a": "pay-a", "b": "pay-b"})
            each.dag.node("n").wait_for_named(lambda data: data.decode())
            each.aggregator(lambda results: b" ".join(results.values()))

        paid = run(define).signal("pay-b", "2").signal_after(HOUR, "pay-a", "1")
        self.assertEqual((paid.result(), paid.took), (b"1 2", HOUR))

    def test_sleeps_take_virtual_time_and_branches_sleep_at_the_same_time(self) -> None:
        def hours(most: int) -> Any:
            def define(workflow: Workflow, context: Context) -> None:
                each = workflow.dag.for_each("F", lambda data: {"a": "1", "b": "2", "c": "3"}).max_parallel(most)
                each.dag.node("n").sleep_until(lambda data: Wake.after(int(data) * HOUR))

            return define

        self.assertEqual([run(hours(most)).took / HOUR for most in (1, 2, 3)], [6, 4, 3])

        def until(workflow: Workflow, context: Context) -> None:
            workflow.dag.node("n").sleep_until(lambda data: Wake.at(data.decode()))

        self.assertEqual(run(until, "2026-12-24T18:00:00+01:00").now("2026-12-24T16:00:00Z").took, HOUR)
        for moment in ("soon", "2099-01-01T00:00:00Z"):
            failed = run(until, moment).failure
            self.assertEqual(failed and failed.code, "FF0232")

    def test_an_answer_that_takes_too_long_times_out(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            node = workflow.dag.node("n").timeout(2.5)
            node.apply("f").timeout(1).retry(Backoff(3, first_delay=1, factor=1))

        second = run(define).answers("f", Answer(delay=60), Answer(delay=0.4))
        self.assertEqual((second.state, second.took.total_seconds()), (State.SUCCEEDED, 2.4))

        def never(call: Call) -> str:
            raise TimeoutError

        for late in (run(define).function("f", Answer(delay=60)), run(define).function("f", never)):
            assert late.failure is not None and late.response is not None
            facts = (late.failure.code, late.took.total_seconds(), late.response.status)
            self.assertEqual(facts, ("FF0209", 2.5, 504))

        def deadline(workflow: Workflow, context: Context) -> None:
            workflow.deadline(HOUR)
            workflow.dag.node("n").sleep(2 * HOUR).recover_from(lambda failed: "")

        over = run(deadline)
        assert over.failure is not None
        self.assertEqual((over.failure.code, over.took), ("FF0210", HOUR))

    def test_a_request_has_the_method_path_query_and_headers_of_the_flow(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            lines = workflow.dag.node("n").apply("wc/lines").method("PUT").query("a b", "1&2").query("a b", "3")
            lines = lines.header("X-Team", "blue").prepare(lambda request: request.with_header("X-Try", "1"))
            lines.request("https://rates.example.com/v1/eur?day=1").method("GET")

        a_run = run(define, "x").function("wc", lambda call: call.body).function("https://rates.example.com", "1.1")
        self.assertEqual(a_run.result(), b"1.1")
        lines, rates = a_run.calls
        self.assertEqual((lines.method, lines.function, lines.path), ("PUT", "wc/lines", "/lines"))
        self.assertEqual((lines.query("a b"), lines.header("x-team"), lines.header("x-try")), (["1&2", "3"], "blue", "1"))
        self.assertEqual((rates.function, rates.path), ("https://rates.example.com/v1/eur", "/v1/eur"))
        self.assertEqual(rates.query("day"), ["1"])

    def test_media_types_go_with_the_data(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            node = workflow.dag.node("n").modify_json(lambda value: value).apply("f")
            node.modify(lambda data: context.content_type)

        a_run = run(define, "{}").function("f", Response(200, [("content-type", "text/csv")]))
        self.assertEqual(a_run.result(), b"text/csv")
        self.assertEqual(a_run.calls[0].header("Content-Type"), "application/json")
        assert a_run.response is not None
        self.assertEqual(a_run.response.header("content-type"), "application/octet-stream")

    def test_what_a_failed_attempt_has_set_is_dropped_and_what_another_node_has_set_is_seen(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            def first(data: bytes) -> bytes:
                context.set("seen", 1)
                context.label("a", "1")
                return data

            def second(data: bytes) -> bytes:
                seen = context.get("seen")
                context.set("seen", 2)
                context.label("a", "2")
                context.respond(500)
                raise Retry(f"it was {seen}")

            workflow.dag.node("first").modify(first)
            node = workflow.dag.node("second").modify(second)
            node.retry(Backoff(2)).recover_from(lambda failed: failed.message)
            workflow.dag.edge("first", "second")

        a_run = run(define)
        self.assertEqual((a_run.result(), a_run.value("seen"), a_run.labels), (b"it was 1", 1, {"a": "1"}))
        assert a_run.response is not None
        self.assertEqual(a_run.response.status, 200)

    def test_dags_and_nodes_with_branches_catch_what_fails_inside(self) -> None:
        def caught(where: str) -> Any:
            return lambda failed: f"{where} {failed.path} {failed.input.decode()} {failed.body.decode()}"

        def define(workflow: Workflow, context: Context) -> None:
            inner = Dag()
            inner.node("n").modify(lambda data: data + b"2").apply("f")
            dag = workflow.dag
            dag.sub_dag("S", inner)
            dag.recover_node("S", caught("node"))
            branch = dag.condition("C", ["a"], lambda data: ["a"]).branch("a")
            branch.node("n").apply("f")
            branch.recover_from(caught("dag"))
            dag.edge("S", "C")

        a_run = run(define, "1").function("f", Response(400, (), b"no"))
        self.assertEqual(a_run.result(), b"dag C[a]/n node S/n 12 no no")

    def test_a_rejection_of_the_request_is_the_callers_fault(self) -> None:
        def refuse(status: int | None = None) -> Any:
            def refused(data: bytes) -> bytes:
                raise Reject("no", status=status)

            return refused

        def inside(workflow: Workflow, context: Context) -> None:
            inner = Dag()
            inner.node("n").modify(refuse())
            workflow.dag.node("pass")
            workflow.dag.sub_dag("S", inner)
            workflow.dag.edge("pass", "S")

        def later(status: int | None = None) -> Any:
            return lambda workflow, context: workflow.dag.node("n").apply("f").modify(refuse(status)) and None

        runs = [run(inside), run(later()).function("f", ""), run(later(409)).function("f", "")]
        statuses = [a_run.response.status for a_run in runs if a_run.response is not None]
        self.assertEqual(statuses, [422, 500, 409])

    def test_a_run_may_pause(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            workflow.on_exhausted(Exhausted.PAUSE)
            workflow.sync_node().apply("f")

        paused = run(define).function("f", Response(500))
        self.assertEqual((paused.state, paused.response), (State.PAUSED, None))
        with self.assertRaisesRegex(RunFailed, "the run has paused, as its flow says for a node that has failed: FF0207"):
            paused.result()
        self.assertEqual(run(define).function("f", Response(400)).state, State.FAILED)

    def test_the_fake_is_the_request(self) -> None:
        fake = Fake(query={"day": "1"}, content_type="text/csv", values={"known": [1]}, request_id="r1")

        def define(workflow: Workflow, context: Context) -> None:
            def said(data: bytes) -> str:
                return f"{context.query('day')} {context.content_type} {context.get('known')} {context.state.value}"

            workflow.dag.node("n").modify(said).apply("f")

        a_run = run(define, "x", fake).function("f", lambda call: call.body)
        self.assertEqual(a_run.result(), b"['1'] text/csv [1] running")
        self.assertEqual(a_run.calls[0].header("X-Faas-Flow-Reqid"), "r1")

    def test_the_failure_handler_replaces_the_answer(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            def sorry(failure: str) -> str:
                context.info(context.state.value)
                context.respond(418)
                return f"sorry: {failure}"

            workflow.on_failure(sorry)
            workflow.finally_(lambda outcome: context.info(f"{context.state.value} {outcome.value}"))
            workflow.sync_node().modify(refuse)

        def refuse(data: bytes) -> bytes:
            raise Reject("no")

        a_run = run(define)
        assert a_run.response is not None
        self.assertEqual((a_run.response.status, a_run.response.body), (418, b"sorry: FF0012 at sync: no"))
        self.assertEqual(a_run.logs, [(Level.INFO, "failed"), (Level.INFO, "failed failure")])

    def test_a_flow_that_the_host_would_not_accept_has_no_run(self) -> None:
        def flow(nodes: str, edges: list[str]) -> Any:
            def define(workflow: Workflow, context: Context) -> None:
                for node in nodes:
                    workflow.dag.node(node)
                for edge in edges:
                    workflow.dag.edge(*edge)

            return define

        cases = [
            (flow("ab", ["ab", "ba"]), "the nodes of the flow wait for each other"),
            (flow("abc", ["ab", "bc", "cb"]), "nodes of the flow wait for each other"),
            (flow("ab", []), "the flow has several starts, `a`, `b`"),
            (flow("", []), "the flow has no nodes"),
        ]
        for define, text in cases:
            with self.subTest(text), self.assertRaisesRegex(ValueError, text):
                run(define).result()

    def test_a_condition_must_choose_a_branch_that_exists(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            workflow.dag.condition("C", ["a"], lambda data: data.decode().split()).branch("a").node("n")

        cases: list[Any] = [("", "FF0202"), ("b", "FF0201"), ("a a", "FF0203")]
        for data, code in cases:
            with self.subTest(code), self.assertRaises(RunFailed) as caught:
                run(define, data).result()
            self.assertEqual(caught.exception.failed.code, code)
