//! Nodes with operations: calls, waits for signals, and limits.

use super::arena::{CALLS, NODES, Step, handle, part};
use super::limits::{self, Part, Text};
use crate::bindings::faas_flow::flow::builder;
use crate::state::State;
use faas_flow_core::definition as plain;
use wasmtime::Result;
use wasmtime::component::Resource;

impl State {
    fn add_step(&mut self, node: &Resource<builder::Node>, step: Step) -> Result<()> {
        let steps = &mut part(&mut self.arena.nodes, node)?.steps;
        steps.push(step);
        Ok(limits::operations_of_node(steps.len())?)
    }

    /// Adds to the headers or the query parameters of a call, whichever `list` is.
    fn add_parameter(
        &mut self,
        call: &Resource<builder::Call>,
        (name, value): (String, String),
        list: fn(&mut plain::Call) -> &mut Vec<(String, String)>,
    ) -> Result<()> {
        self.arena.count(&[(Text::Parameter, &name), (Text::Parameter, &value)])?;
        let call = part(&mut self.arena.calls, call)?;
        list(call).push((name, value));
        Ok(limits::parameters(call.headers.iter().chain(&call.query))?)
    }
}

impl builder::HostNode for State {
    fn apply(&mut self, node: Resource<builder::Node>, function: String) -> Result<Resource<builder::Call>> {
        self.arena.count(&[(Text::Target, &function)])?;
        let index = self.arena.add_call(function)?;
        self.add_step(&node, Step::Apply(index))?;
        Ok(handle(index))
    }

    fn request(&mut self, node: Resource<builder::Node>, url: String) -> Result<Resource<builder::Call>> {
        self.arena.count(&[(Text::Target, &url)])?;
        let index = self.arena.add_call(url)?;
        self.add_step(&node, Step::Request(index))?;
        Ok(handle(index))
    }

    fn modify(&mut self, node: Resource<builder::Node>, modifier: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &modifier)])?;
        self.arena.counts.part(Part::Operation)?;
        self.add_step(&node, Step::Modify(modifier))
    }

    fn sleep(&mut self, node: Resource<builder::Node>, ms: u64) -> Result<()> {
        self.arena.count(&[])?;
        self.arena.counts.part(Part::Operation)?;
        self.add_step(&node, Step::Sleep(ms))
    }

    fn sleep_until(&mut self, node: Resource<builder::Node>, moment: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &moment)])?;
        self.arena.counts.part(Part::Operation)?;
        self.add_step(&node, Step::SleepUntil(moment))
    }

    fn wait_for(&mut self, node: Resource<builder::Node>, signal: String) -> Result<Resource<builder::SignalWait>> {
        self.arena.count(&[(Text::NodeId, &signal)])?;
        self.add_wait(&node, plain::SignalSource::Named(signal))
    }

    fn wait_for_named(&mut self, node: Resource<builder::Node>, name: String) -> Result<Resource<builder::SignalWait>> {
        self.arena.count(&[(Text::HandlerId, &name)])?;
        self.add_wait(&node, plain::SignalSource::Handler(name))
    }

    fn retry(&mut self, node: Resource<builder::Node>, policy: builder::Backoff) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.nodes, &node)?.shape.retry = Some(backoff(policy));
        Ok(())
    }

    fn timeout(&mut self, node: Resource<builder::Node>, ms: u64) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.nodes, &node)?.shape.timeout_ms = Some(ms);
        Ok(())
    }

    fn limit(&mut self, node: Resource<builder::Node>, name: String) -> Result<Resource<builder::Limit>> {
        part(&mut self.arena.nodes, &node)?;
        self.arena.add_limit(NODES, node.rep() as usize, name)
    }

    fn drop(&mut self, _node: Resource<builder::Node>) -> Result<()> {
        Ok(())
    }
}

impl builder::HostCall for State {
    fn method(&mut self, call: Resource<builder::Call>, name: String) -> Result<()> {
        self.arena.count(&[(Text::Method, &name)])?;
        part(&mut self.arena.calls, &call)?.method = Some(name);
        Ok(())
    }

    fn header(&mut self, call: Resource<builder::Call>, name: String, value: String) -> Result<()> {
        self.add_parameter(&call, (name, value), |call| &mut call.headers)
    }

    fn query(&mut self, call: Resource<builder::Call>, name: String, value: String) -> Result<()> {
        self.add_parameter(&call, (name, value), |call| &mut call.query)
    }

    fn prepare(&mut self, call: Resource<builder::Call>, prepare: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &prepare)])?;
        part(&mut self.arena.calls, &call)?.prepare = Some(prepare);
        Ok(())
    }

    fn receive(&mut self, call: Resource<builder::Call>, receive: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &receive)])?;
        part(&mut self.arena.calls, &call)?.receive = Some(receive);
        Ok(())
    }

    fn recover(&mut self, call: Resource<builder::Call>, recover: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &recover)])?;
        part(&mut self.arena.calls, &call)?.recover = Some(recover);
        Ok(())
    }

    fn recover_from(&mut self, call: Resource<builder::Call>, recover: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &recover)])?;
        part(&mut self.arena.calls, &call)?.recover_from = Some(recover);
        Ok(())
    }

    fn retry(&mut self, call: Resource<builder::Call>, policy: builder::Backoff) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.calls, &call)?.retry = Some(backoff(policy));
        Ok(())
    }

    fn retry_on(&mut self, call: Resource<builder::Call>, statuses: Vec<u16>) -> Result<()> {
        self.arena.count(&[])?;
        limits::statuses(statuses.len())?;
        part(&mut self.arena.calls, &call)?.retry_on = statuses;
        Ok(())
    }

    fn timeout(&mut self, call: Resource<builder::Call>, ms: u64) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.calls, &call)?.timeout_ms = Some(ms);
        Ok(())
    }

    fn asynchronous(&mut self, call: Resource<builder::Call>) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.calls, &call)?.asynchronous = true;
        Ok(())
    }

    fn limit(&mut self, call: Resource<builder::Call>, name: String) -> Result<Resource<builder::Limit>> {
        part(&mut self.arena.calls, &call)?;
        self.arena.add_limit(CALLS, call.rep() as usize, name)
    }

    fn drop(&mut self, _call: Resource<builder::Call>) -> Result<()> {
        Ok(())
    }
}

fn backoff(policy: builder::Backoff) -> plain::Backoff {
    let builder::Backoff { attempts, first_delay_ms, factor, max_delay_ms } = policy;
    plain::Backoff { attempts, first_delay_ms, factor, max_delay_ms }
}

impl State {
    fn add_wait(
        &mut self,
        node: &Resource<builder::Node>,
        signal: plain::SignalSource,
    ) -> Result<Resource<builder::SignalWait>> {
        self.arena.counts.part(Part::Operation)?;
        let index = self.arena.waits.len();
        self.arena.waits.push(plain::WaitFor { signal, timeout_ms: None, recover_from: None });
        self.add_step(node, Step::WaitFor(index))?;
        Ok(handle(index))
    }
}

impl builder::HostSignalWait for State {
    fn timeout(&mut self, wait: Resource<builder::SignalWait>, ms: u64) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.waits, &wait)?.timeout_ms = Some(ms);
        Ok(())
    }

    fn recover_from(&mut self, wait: Resource<builder::SignalWait>, recover: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &recover)])?;
        part(&mut self.arena.waits, &wait)?.recover_from = Some(recover);
        Ok(())
    }

    fn drop(&mut self, _wait: Resource<builder::SignalWait>) -> Result<()> {
        Ok(())
    }
}

impl builder::HostLimit for State {
    fn concurrent(&mut self, limit: Resource<builder::Limit>, count: u32) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.limits, &limit)?.figures.concurrent = Some(count);
        Ok(())
    }

    fn per_second(&mut self, limit: Resource<builder::Limit>, rate: f64) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.limits, &limit)?.figures.per_second = Some(rate);
        Ok(())
    }

    fn key(&mut self, limit: Resource<builder::Limit>, key: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &key)])?;
        part(&mut self.arena.limits, &limit)?.key = Some(key);
        Ok(())
    }

    fn drop(&mut self, _limit: Resource<builder::Limit>) -> Result<()> {
        Ok(())
    }
}
