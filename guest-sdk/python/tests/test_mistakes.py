"""What an author's mistake is called, and where it says to be."""

import unittest
from collections.abc import Callable
from typing import Any

from faas_flow import Backoff, Context, Inputs, Reject, Retry, Wake, Workflow
from faas_flow._explain import explain, home_of
from faas_flow.testing import Flow, RunFailed, run

Define = Callable[[Workflow, Context], None]


def one(node: Callable[[Workflow], Any]) -> Define:
    """A flow that is described by this."""

    def define(workflow: Workflow, context: Context) -> None:
        node(workflow)

    return define


def failure(function: Any, data: str = "") -> str:
    """What the run fails with whose only node calls this function."""
    try:
        run(one(lambda workflow: workflow.dag.node("n").modify(function)), data).result()
    except RunFailed as failed:
        return failed.failed.message
    raise AssertionError("the run has not failed")


class InHandlers(unittest.TestCase):
    def test_an_exception_has_pythons_message_and_the_authors_line(self) -> None:
        def divide(data: bytes) -> str:
            return str(1 // len(data))

        text = failure(divide)
        self.assertRegex(text, r"^ZeroDivisionError: .* \(test_mistakes.py, line \d+, in divide\)$")

    def test_the_line_is_the_authors_even_if_a_library_raises(self) -> None:
        import json

        def parse(data: bytes) -> str:
            return str(json.loads(data))

        self.assertRegex(failure(parse, "{"), r"^json.decoder.JSONDecodeError: .* \(test_mistakes.py, line \d+, in parse\)$")

    def test_causes_are_part_of_the_message(self) -> None:
        def row(data: bytes) -> str:
            rows: dict[str, str] = {}
            try:
                return rows["delay"]
            except KeyError as error:
                raise ValueError("row 3 has no delay") from error

        self.assertRegex(failure(row), r"^ValueError: row 3 has no delay \(.*\); caused by KeyError: 'delay' \(.*, in row\)$")

    def test_a_rejection_has_the_authors_words_alone(self) -> None:
        def refuse(data: bytes) -> str:
            raise Reject("there is no name")

        self.assertEqual(failure(refuse), "there is no name")

    def test_leaving_the_program_is_a_failure(self) -> None:
        def leave(data: bytes) -> str:
            raise SystemExit(3)

        self.assertRegex(failure(leave), r"^SystemExit: 3 \(test_mistakes.py, line \d+, in leave\)$")

    def test_a_result_of_another_type_names_the_function(self) -> None:
        def nothing(data: bytes) -> None:
            pass

        self.assertRegex(
            failure(nothing),
            r"^TypeError: what `nothing` \(test_mistakes.py, line \d+\) returned is None, and must be bytes or str$",
        )

    def test_a_function_with_other_parameters_is_named(self) -> None:
        def two(data: bytes, more: bytes) -> bytes:
            return data

        self.assertRegex(failure(two), r"^TypeError: .*missing 1 required positional argument: 'more', in `two` \(.*\)$")

    def test_results_of_other_kinds_are_checked(self) -> None:
        def define(workflow: Workflow, context: Context) -> None:
            dag = workflow.dag
            wrong: Any = lambda *_: "c1"
            dag.condition("C", ["c1"], wrong)
            dag.for_each("F", wrong)
            dag.repeat("R", wrong)
            dag.node("n").apply("f").prepare(wrong).sleep_until(wrong)
            number: Any = lambda _: 5
            dag.node("s").wait_for_named(number)

        flow = Flow(define)
        calls: list[tuple[Callable[[], Any], str]] = [
            (lambda: flow.condition("C/condition", ""), "returned str, and must return the keys of the branches, as a list"),
            (lambda: flow.for_each("F/for-each", ""), "returned str, and must return pairs of key and data, or a dict"),
            (lambda: flow.again("R/again", "", 1), "returned str, and must return True or False"),
            (lambda: flow.moment("n/1", ""), r"returned str, and must return Wake.at\(…\) or Wake.after\(…\)"),
            (lambda: flow.signal_name("s/0", ""), "returned is int, and must be str"),
        ]
        for call, text in calls:
            with self.subTest(text), self.assertRaisesRegex(TypeError, text):
                call()

    def test_half_a_character_does_not_break_the_message(self) -> None:
        def half(data: bytes) -> str:
            raise ValueError("\ud800")

        self.assertIn("\\ud800", failure(half))

    def test_a_retry_is_tried_again_as_often_as_the_policy_says(self) -> None:
        tries: list[int] = []

        def later(data: bytes) -> str:
            tries.append(1)
            if len(tries) < 3:
                raise Retry("not yet")
            return "now"

        define = one(lambda workflow: workflow.dag.node("n").retry(Backoff(3)).modify(later))
        self.assertEqual(run(define).result(), b"now")
        self.assertEqual(len(tries), 3)


class InDefine(unittest.TestCase):
    def assert_refused(self, describe: Callable[[Workflow], Any], text: str) -> None:
        """`define` fails with this text, and the author's line."""
        define = one(describe)
        try:
            Flow(define)
            told = "nothing"
        except Exception as error:
            told = explain(error, home_of(define))
        self.assertRegex(told, text)
        self.assertRegex(told, r"\(test_mistakes.py, line \d+, in <lambda>\)")

    def test_an_async_function_is_refused(self) -> None:
        async def late(data: bytes) -> bytes:
            return data

        wrong: Any = late
        text = r"^TypeError: `late` \(test_mistakes.py, line \d+\) is async: a flow has no event loop"
        self.assert_refused(lambda workflow: workflow.dag.node("n").modify(wrong), text)

    def test_what_only_begins_is_refused_when_it_is_called(self) -> None:
        async def late(data: bytes) -> bytes:
            return data

        wrong: Any = lambda data: late(data)
        with self.assertRaisesRegex(TypeError, "is async"):
            Flow(one(lambda workflow: workflow.dag.node("n").modify(wrong))).modify("n/0", "")

    def test_arguments_of_another_type_are_named(self) -> None:
        wrong: Any = 5
        cases: list[tuple[Callable[[Workflow], Any], str]] = [
            (lambda workflow: workflow.dag.node(wrong), "^TypeError: the id of a node is int, and must be str"),
            (lambda workflow: workflow.dag.node("n").modify(wrong), "^TypeError: what `modify` gets is int, and must be a function"),
            (lambda workflow: workflow.dag.node("n").retry(wrong), "^TypeError: the retry policy is int, and must be Backoff"),
            (lambda workflow: workflow.dag.node("n").apply("f").retry_on([999]), "^ValueError: a status of `retry_on` is 999"),
            (lambda workflow: workflow.dag.node("n").sleep(-1), "^ValueError: the time of a sleep is -1 s, and must be from 0"),
            (lambda workflow: workflow.dag.condition("C", "ab", lambda _: ["a"]), "must be a list of texts"),
            (lambda workflow: workflow.dag.edge("\ud800", "n"), "^UnicodeEncodeError"),
        ]
        for describe, text in cases:
            with self.subTest(text):
                self.assert_refused(describe, text)

    def test_an_async_define_is_refused(self) -> None:
        async def define(workflow: Workflow, context: Context) -> None:
            pass

        wrong: Any = define
        with self.assertRaisesRegex(TypeError, "is async: a flow has no event loop"):
            Flow(wrong)

    def test_a_missing_input_names_those_that_are_there(self) -> None:
        with self.assertRaisesRegex(KeyError, "no input is named c; there are: a, b"):
            Inputs({"a": b"", "b": b""})["c"]

    def test_a_moment_without_a_time_zone_is_refused(self) -> None:
        from datetime import datetime

        with self.assertRaisesRegex(ValueError, "has no time zone"):
            Wake.at(datetime(2026, 12, 24, 18))
