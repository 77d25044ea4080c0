import { Failed } from "../failed.js";
/** A failure on its way outwards. @internal */
export class Failing extends Error {
    level = "operation";
    retry = false;
    /** Which retry policy ran out, if one did. */
    spent = "";
    /** The status with which a closure of the flow wants its caller to be answered. */
    answer;
    retryAfter = 0;
    facts;
    constructor(code, kind, path, message, cause) {
        super(message, cause === undefined ? undefined : { cause });
        this.facts = { code, kind, path, message };
    }
    get code() {
        return this.facts.code;
    }
    get failed() {
        return new Failed(this.facts);
    }
    /** What the host shows of it. */
    get text() {
        return this.failed.toString() + (this.spent === "" ? "" : ` (${this.spent})`);
    }
    /** The same failure with other facts. */
    with(facts) {
        this.facts = { ...this.facts, ...facts };
        return this;
    }
    /** The failure as an item of a for-each has it. */
    get ofItem() {
        return new Failed({ ...this.facts, input: "", body: undefined });
    }
    /** The text without the path. */
    get pathless() {
        return new Failed({ ...this.facts, path: "" }).toString() + (this.spent === "" ? "" : ` (${this.spent})`);
    }
    /** Whether a policy allows another try after this number of them. */
    allows(policy, tries) {
        return policy !== undefined && this.retry && tries < policy.attempts;
    }
    /** The wait before the next try, in milliseconds. */
    wait(policy, tries) {
        const ms = policy["first-delay-ms"] * policy.factor ** (tries - 1);
        return Math.max(Math.round(Math.min(Number.isNaN(ms) ? 0 : ms, policy["max-delay-ms"])), this.retryAfter);
    }
    /** Says that there is no further try. */
    last(policy, whose, tries) {
        if (policy === undefined || !this.retry)
            return;
        const [one, several] = whose === "call" ? ["try", "tries"] : ["attempt", "attempts"];
        this.spent = `the retry policy of the ${whose} ran out after ${tries} ${tries === 1 ? one : several}`;
        this.with({ tries });
    }
}
/** A mistake in the test, or in the definition of the flow, with which there can be no run. @internal */
export class Mistake extends Error {
    name = "Mistake";
}
/** A duration as the host shows it: `1.5 s`, `2 min 3 s`, `48 h`. @internal */
export function duration(ms) {
    const two = (large, unit, small, smaller) => small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${smaller}`;
    const seconds = Math.floor(ms / 1000);
    if (seconds === 0)
        return `${ms} ms`;
    if (seconds < 60)
        return `${ms / 1000} s`;
    if (seconds < 3600)
        return two(Math.floor(seconds / 60), "min", seconds % 60, "s");
    return two(Math.floor(seconds / 3600), "h", Math.floor((seconds % 3600) / 60), "min");
}
