"""What `define` records."""

import unittest

from faas_flow import Context, Dag, Outcome, Reject, Request, Response, Wake, Workflow
from faas_flow import Failed, FailureKind, Gathered
from faas_flow._record import LONGEST_ID, within_limit
from faas_flow.testing import Fake, Flow

from . import everything


class Definition(unittest.TestCase):
    def test_ids_are_in_the_order_of_their_bytes(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            # In UTF-16 the first one comes last, and as text in some languages too.
            for key in ["\uffff", "\U00010000", "b", "B"]:
                workflow.dag.condition(key, ["x"], lambda _: ["x"]).branch("x").node("n")

        ids = Flow(define).handlers
        self.assertEqual(ids, ["B/condition", "b/condition", "\uffff/condition", "\U00010000/condition"])

    def test_every_kind_of_function_is_called_by_its_id(self) -> None:
        flow = Flow(everything.define)
        self.assertEqual(flow.modify("n2/2", "[1, 2]"), b"3")
        self.assertEqual(flow.forward("n1->n2/forward", "x"), b"f:x")
        self.assertEqual(flow.prepare("n2/0/prepare", Request("POST", "http://example.test")).method, "PATCH")
        self.assertEqual(flow.receive("n2/0/receive", Response(404, (), b"b")), b"b")
        self.assertEqual(flow.recover("n2/0/recover", "late"), b"recovered: late")
        self.assertEqual(flow.recover("(failure)", "late"), b"late")
        self.assertEqual(flow.condition("C/condition", ""), ["c1"])
        self.assertEqual(flow.for_each("F/for-each", "d"), [("f1", b"d")])
        self.assertEqual((flow.key("L/0/limit-key", "acme"), flow.key("M/limit-key", "x")), ("acme", "x"))
        self.assertEqual((flow.again("R/again", "", 1), flow.again("R/again", "", 2)), (True, False))
        self.assertEqual(flow.aggregate("n4/aggregate", {"a": "1", "b": "2"}), b"12")
        failed = Failed("FF0207", FailureKind.ANSWERED, message="busy", path="n1", input=b"in")
        self.assertEqual(flow.recover_from("C[c1]/n1/recover", failed), b"in")
        self.assertEqual(flow.recover_from("C[c1]/(recover)", failed), b"FF0207 at n1: busy")
        self.assertEqual(flow.recover_from("F[]/n2/0/recover-from", failed), b"FF0207")
        self.assertEqual(flow.gather("F/gather", [Gathered("f", b""), Gathered("g", failed)]), b"2")
        flow.finally_(Outcome.SUCCESS)

    def test_an_unknown_id_and_one_of_another_kind_are_rejected(self) -> None:
        flow = Flow(everything.define)
        with self.assertRaisesRegex(Reject, "^the flow has no handler `n9/0`$"):
            flow.modify("n9/0", "")
        with self.assertRaisesRegex(Reject, "^handler `n1/1` was called as `forward`, but its kind is `modify`$"):
            flow.forward("n1/1", "")

    def test_a_dag_that_contains_itself_is_rejected(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            workflow.dag.for_each("F", lambda data: {"f": data}).dag.sub_dag("S", workflow.dag)

        with self.assertRaisesRegex(Reject, r"the dag of `F\[\]/S` contains itself: create a new dag for each level"):
            Flow(define)

    def test_duplicates_are_recorded_for_the_host_to_report(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            for _ in range(2):
                workflow.dag.node("n1")
                workflow.dag.edge("n1", "n2")

        dag = Flow(define).definition["dag"]
        self.assertEqual((len(dag["nodes"]), len(dag["edges"])), (2, 2))

    def test_define_may_read_the_request(self) -> None:
        flow = Flow(everything.define, Fake(query={"token": "secret"}))
        call = flow.definition["dag"]["nodes"][1]["operations"]["list"][0]["apply"]
        self.assertEqual(call["query"], [["token", "secret"]])

    def test_a_node_sleeps_for_a_time_or_until_a_moment_that_a_function_names(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            node = workflow.dag.node("n").sleep(2).apply("f")
            node.sleep_until(lambda data: Wake.at(data.decode()) if data else Wake.after(0.005))

        flow = Flow(define)
        operations = flow.definition["dag"]["nodes"][0]["operations"]["list"]
        self.assertEqual((operations[0], operations[2]), ({"sleep": 2000}, {"sleep-until": "n/2"}))
        self.assertEqual(flow.moment("n/2", "").after_ms, 5)
        self.assertEqual(flow.moment("n/2", "2026-12-24T18:00:00Z").moment, "2026-12-24T18:00:00Z")

    def test_a_wait_for_a_signal_has_a_name_or_a_function_that_names_it(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            wait = workflow.dag.node("n").wait_for("paid").timeout(60).recover_from(lambda failed: failed.input)
            wait.wait_for_named(lambda person: f"signed-by-{person.decode()}")

        flow = Flow(define)
        operations = flow.definition["dag"]["nodes"][0]["operations"]["list"]
        paid = {"signal": {"named": "paid"}, "timeout-ms": 60000, "recover-from": "n/0/recover-from"}
        self.assertEqual(operations, [{"wait-for": paid}, {"wait-for": {"signal": {"handler": "n/1"}}}])
        self.assertEqual(flow.signal_name("n/1", "ada"), "signed-by-ada")

    def test_an_id_that_would_be_too_long_is_shortened_and_stays_unique(self) -> None:
        self.assertEqual(within_limit("a" * LONGEST_ID), "a" * LONGEST_ID)
        one, other = (within_limit(f"C[{'%C3%BC' * 64}]/n/0/{end}") for end in ("prepare", "receive"))
        self.assertEqual((len(one), len(other)), (LONGEST_ID, LONGEST_ID))
        self.assertNotEqual(one, other)
        self.assertLessEqual(len(within_limit("ü" * 200).encode()), LONGEST_ID)

    def test_a_dag_of_its_own_may_be_the_whole_flow(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            other = Dag()
            other.node("only")
            workflow.dag = other

        self.assertEqual(Flow(define).definition, {"dag": {"nodes": [{"id": "only", "operations": {"list": []}}]}})
