import { closure, number, text, whole } from "./check.js";
import { millis } from "./duration.js";
/** @internal */
export function backoff(policy) {
    const delay = (time, what) => Math.min(millis(time, what), 0xffff_ffff);
    return {
        attempts: whole(policy.attempts, "the number of attempts of a retry policy"),
        firstDelayMs: delay(policy.firstDelay ?? 100, "the first delay of a retry policy"),
        factor: number(policy.factor ?? 2, "the factor of a retry policy"),
        maxDelayMs: delay(policy.maxDelay ?? 10_000, "the longest delay of a retry policy"),
    };
}
/** @internal */
export function limit({ name, concurrent, perSecond, key }) {
    const model = { name: text(name, "the name of a limit") };
    if (concurrent !== undefined)
        model.concurrent = whole(concurrent, `\`concurrent\` of limit \`${name}\``);
    if (perSecond !== undefined)
        model.perSecond = number(perSecond, `\`perSecond\` of limit \`${name}\``);
    if (key !== undefined)
        model.key = closure(key, `the key of limit \`${name}\``);
    return model;
}
