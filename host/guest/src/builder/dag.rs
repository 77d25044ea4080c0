//! Dags: their nodes, edges and handlers, and the dags inside nodes.

use super::arena::{Branches, Inside, Kind, Node, handle, part};
use super::limits::{Part, Text};
use crate::bindings::faas_flow::flow::builder;
use crate::state::State;
use faas_flow_core::definition as plain;
use wasmtime::Result;
use wasmtime::component::Resource;

impl State {
    /// Where the dag inside a new node of this dag is.
    fn inside(&mut self, dag: &Resource<builder::Dag>, id: &str) -> Result<Inside> {
        Ok(part(&mut self.arena.dags, dag)?.inside.node(id))
    }

    fn add_node(&mut self, dag: &Resource<builder::Dag>, id: String, kind: Kind) -> Result<()> {
        self.arena.counts.part(Part::Node)?;
        let dag = part(&mut self.arena.dags, dag)?;
        self.arena.counts.path(dag.inside.path + id.len())?;
        dag.nodes.push((id, kind));
        Ok(())
    }
}

impl builder::HostDag for State {
    fn node(&mut self, dag: Resource<builder::Dag>, id: String) -> Result<Resource<builder::Node>> {
        self.arena.count(&[(Text::NodeId, &id)])?;
        let index = self.arena.nodes.len();
        self.arena.nodes.push(Node::default());
        self.add_node(&dag, id, Kind::Operations(index))?;
        Ok(handle(index))
    }

    fn sub_dag(&mut self, dag: Resource<builder::Dag>, id: String) -> Result<Resource<builder::Dag>> {
        self.arena.count(&[(Text::NodeId, &id)])?;
        let inside = self.inside(&dag, &id)?;
        let index = self.arena.add_dag(inside)?;
        self.add_node(&dag, id, Kind::SubDag(index))?;
        Ok(handle(index))
    }

    fn condition(
        &mut self,
        dag: Resource<builder::Dag>,
        id: String,
        choose: String,
    ) -> Result<Resource<builder::Branches>> {
        self.arena.count(&[(Text::NodeId, &id), (Text::HandlerId, &choose)])?;
        let inside = self.inside(&dag, &id)?;
        let index = self.arena.add_branches(inside, choose);
        self.add_node(&dag, id, Kind::Condition(index))?;
        Ok(handle(index))
    }

    fn for_each(
        &mut self,
        dag: Resource<builder::Dag>,
        id: String,
        split: String,
    ) -> Result<Resource<builder::Branches>> {
        self.arena.count(&[(Text::NodeId, &id), (Text::HandlerId, &split)])?;
        let inside = self.inside(&dag, &id)?;
        let index = self.arena.add_branches(inside, split);
        self.add_node(&dag, id, Kind::ForEach(index))?;
        Ok(handle(index))
    }

    fn repeat(
        &mut self,
        dag: Resource<builder::Dag>,
        id: String,
        again: String,
        most: u32,
    ) -> Result<Resource<builder::Repeated>> {
        self.arena.count(&[(Text::NodeId, &id), (Text::HandlerId, &again)])?;
        let inside = self.inside(&dag, &id)?;
        let round = self.arena.add_dag(inside)?;
        let index = self.arena.repeats.len();
        self.arena.repeats.push((plain::Repeat { handler: again, most, ..plain::Repeat::default() }, round));
        self.add_node(&dag, id, Kind::Repeat(index))?;
        Ok(handle(index))
    }

    fn edge(&mut self, dag: Resource<builder::Dag>, from: String, to: String, carries: builder::Carries) -> Result<()> {
        self.arena.count(&[(Text::NodeId, &from), (Text::NodeId, &to)])?;
        self.arena.counts.part(Part::Edge)?;
        let carries = match carries {
            builder::Carries::Output => plain::Carries::Output,
            builder::Carries::Nothing => plain::Carries::Nothing,
            builder::Carries::Forwarded(handler) => {
                self.arena.counts.text(Text::HandlerId, &handler)?;
                plain::Carries::Forwarded(handler)
            }
        };
        let dag = part(&mut self.arena.dags, &dag)?;
        self.arena.counts.path(2 * dag.inside.path + from.len() + to.len())?;
        dag.shape.edges.push(plain::Edge { from, to, carries });
        Ok(())
    }

    fn aggregate_inputs(&mut self, dag: Resource<builder::Dag>, node: String, aggregator: String) -> Result<()> {
        self.arena.count(&[(Text::NodeId, &node), (Text::HandlerId, &aggregator)])?;
        let aggregate = plain::AggregateInputs { node, aggregator };
        part(&mut self.arena.dags, &dag)?.shape.aggregate_inputs.push(aggregate);
        Ok(())
    }

    fn aggregate_ends(&mut self, dag: Resource<builder::Dag>, aggregator: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &aggregator)])?;
        part(&mut self.arena.dags, &dag)?.shape.aggregate_ends = Some(aggregator);
        Ok(())
    }

    fn recover_node(&mut self, dag: Resource<builder::Dag>, node: String, recover: String) -> Result<()> {
        self.arena.count(&[(Text::NodeId, &node), (Text::HandlerId, &recover)])?;
        part(&mut self.arena.dags, &dag)?.shape.recover_nodes.push(plain::RecoverNode { node, recover });
        Ok(())
    }

    fn recover(&mut self, dag: Resource<builder::Dag>, recover: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &recover)])?;
        part(&mut self.arena.dags, &dag)?.shape.recover = Some(recover);
        Ok(())
    }

    fn drop(&mut self, _dag: Resource<builder::Dag>) -> Result<()> {
        Ok(())
    }
}

impl builder::HostBranches for State {
    fn branch(&mut self, branches: Resource<builder::Branches>, key: String) -> Result<Resource<builder::Dag>> {
        self.arena.count(&[(Text::BranchKey, &key)])?;
        let inside = part(&mut self.arena.branches, &branches)?.inside.key(&key);
        let index = self.arena.add_dag(inside)?;
        let branches = part(&mut self.arena.branches, &branches)?;
        if key.is_empty() {
            branches.each.get_or_insert(index);
        }
        branches.dags.push((key, index));
        Ok(handle(index))
    }

    fn each(&mut self, branches: Resource<builder::Branches>) -> Result<Resource<builder::Dag>> {
        self.arena.count(&[])?;
        let Branches { inside, each, .. } = part(&mut self.arena.branches, &branches)?;
        let (inside, each) = (*inside, *each);
        if let Some(index) = each {
            return Ok(handle(index));
        }
        let index = self.arena.add_dag(inside)?;
        let branches = part(&mut self.arena.branches, &branches)?;
        branches.each = Some(index);
        branches.dags.push((String::new(), index));
        Ok(handle(index))
    }

    fn aggregate(&mut self, branches: Resource<builder::Branches>, aggregator: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &aggregator)])?;
        part(&mut self.arena.branches, &branches)?.shape.aggregator = Some(aggregator);
        Ok(())
    }

    fn carries_nothing(&mut self, branches: Resource<builder::Branches>) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.branches, &branches)?.shape.carries_nothing = true;
        Ok(())
    }

    fn max_parallel(&mut self, branches: Resource<builder::Branches>, count: u32) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.branches, &branches)?.shape.max_parallel = Some(count);
        Ok(())
    }

    fn tolerate(&mut self, branches: Resource<builder::Branches>, items: u32) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.branches, &branches)?.shape.tolerate = Some(plain::Tolerate::Items(items));
        Ok(())
    }

    fn tolerate_share(&mut self, branches: Resource<builder::Branches>, share: f32) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.branches, &branches)?.shape.tolerate = Some(plain::Tolerate::Share(share));
        Ok(())
    }

    fn gather(&mut self, branches: Resource<builder::Branches>, gather: String) -> Result<()> {
        self.arena.count(&[(Text::HandlerId, &gather)])?;
        part(&mut self.arena.branches, &branches)?.shape.gather = Some(gather);
        Ok(())
    }

    fn drop(&mut self, _branches: Resource<builder::Branches>) -> Result<()> {
        Ok(())
    }
}

impl builder::HostRepeated for State {
    fn dag(&mut self, repeat: Resource<builder::Repeated>) -> Result<Resource<builder::Dag>> {
        self.arena.count(&[])?;
        Ok(handle(part(&mut self.arena.repeats, &repeat)?.1))
    }

    fn wait(&mut self, repeat: Resource<builder::Repeated>, ms: u64) -> Result<()> {
        self.arena.count(&[])?;
        part(&mut self.arena.repeats, &repeat)?.0.wait_ms = ms;
        Ok(())
    }

    fn drop(&mut self, _repeat: Resource<builder::Repeated>) -> Result<()> {
        Ok(())
    }
}
