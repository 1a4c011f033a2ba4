//! The order in which services are taken, cycles with their whole path, and selection by name. Pure.
//!
//! Disabled services are not planned: a dependency on one counts as satisfied, so it ends there.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::config::model::{Config, Service, ServiceName};
use crate::config::suggest;

/// A name that no service bears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownService {
    /// As it was given.
    pub name: String,
    /// The service that was clearly meant.
    pub meant: Option<ServiceName>,
}

impl std::error::Error for UnknownService {}

impl fmt::Display for UnknownService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown service {:?}", self.name)?;
        match &self.meant {
            Some(meant) => write!(f, "; did you mean \"{meant}\"?"),
            None => f.write_str("; \"recovery validate\" lists the services"),
        }
    }
}

/// The enabled services, dependencies first, otherwise in the order of the file.
#[must_use]
pub fn order(config: &Config) -> Vec<&Service> {
    let all: Vec<usize> = (0..config.services.len()).collect();
    take(config, &all)
}

/// The enabled services among `names`, with the dependencies they need where `deps`, in the order of [`order`].
///
/// # Errors
/// The first name that no service bears.
pub fn select<'a>(
    config: &'a Config,
    names: &[String],
    deps: bool,
) -> Result<Vec<&'a Service>, UnknownService> {
    let mut wanted = HashSet::new();
    for name in names {
        wanted.insert(&find(config, name)?.name);
    }
    if deps {
        let roots: Vec<usize> =
            (0..config.services.len()).filter(|&i| wanted.contains(&config.services[i].name)).collect();
        return Ok(take(config, &roots));
    }
    Ok(order(config).into_iter().filter(|service| wanted.contains(&service.name)).collect())
}

/// The service called `name`, disabled ones too.
///
/// # Errors
/// Where there is none: the one that was clearly meant.
pub fn find<'a>(config: &'a Config, name: &str) -> Result<&'a Service, UnknownService> {
    config.services.iter().find(|service| service.name.as_str() == name).ok_or_else(|| {
        let known = config.services.iter().map(|service| service.name.as_str());
        UnknownService { name: name.to_owned(), meant: suggest(name, known).and_then(ServiceName::new) }
    })
}

/// All enabled services that need `name`, directly or through others, in the order of the file.
#[must_use]
pub fn dependents(config: &Config, name: &ServiceName) -> Vec<ServiceName> {
    let mut reached = HashSet::from([name]);
    loop {
        let before = reached.len();
        for service in config.services.iter().filter(|service| service.enabled) {
            if service.dependencies.iter().any(|dependency| reached.contains(dependency)) {
                reached.insert(&service.name);
            }
        }
        if reached.len() == before {
            break;
        }
    }
    let needs = |service: &&Service| service.name != *name && reached.contains(&service.name);
    config.services.iter().filter(needs).map(|service| service.name.clone()).collect()
}

/// One cycle for each knot in the graph, as indices; `edges[i]` are those that `i` needs. The first index
/// stands at the end again.
#[must_use]
pub fn cycles(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut walk = Walk::new(edges);
    for root in 0..edges.len() {
        walk.visit(root);
    }
    walk.cycles
}

/// All indices, each after those that it needs, else in their order; `edges` have no cycle.
#[must_use]
pub fn walk(edges: &[Vec<usize>]) -> Vec<usize> {
    let mut walk = Walk::new(edges);
    for root in 0..edges.len() {
        walk.visit(root);
    }
    walk.done
}

/// The services at `roots` and what they need, each after what it needs itself.
fn take<'a>(config: &'a Config, roots: &[usize]) -> Vec<&'a Service> {
    let index: HashMap<&ServiceName, usize> =
        config.services.iter().enumerate().map(|(i, service)| (&service.name, i)).collect();
    let usable = |i: &usize| config.services[*i].enabled;
    let edges: Vec<Vec<usize>> = config
        .services
        .iter()
        .map(|service| {
            service.dependencies.iter().filter_map(|d| index.get(d).copied()).filter(usable).collect()
        })
        .collect();
    let mut walk = Walk::new(&edges);
    for root in roots.iter().copied().filter(|i| usable(i)) {
        walk.visit(root);
    }
    walk.done.into_iter().map(|i| &config.services[i]).collect()
}

/// A depth-first walk with a stack of its own, so that a long chain cannot overflow ours.
struct Walk<'e> {
    edges: &'e [Vec<usize>],
    mark: Vec<Mark>,
    done: Vec<usize>,
    cycles: Vec<Vec<usize>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    New,
    Open,
    Done,
}

impl<'e> Walk<'e> {
    fn new(edges: &'e [Vec<usize>]) -> Self {
        Self { edges, mark: vec![Mark::New; edges.len()], done: Vec::new(), cycles: Vec::new() }
    }

    fn visit(&mut self, root: usize) {
        if self.mark[root] != Mark::New {
            return;
        }
        // The path from the root, each with the number of its next edge.
        let mut path = vec![(root, 0)];
        self.mark[root] = Mark::Open;
        while let Some((node, next)) = path.last_mut() {
            let (here, edge) = (*node, *next);
            *next += 1;
            match self.edges[here].get(edge).map(|&to| (to, self.mark[to])) {
                Some((to, Mark::New)) => {
                    self.mark[to] = Mark::Open;
                    path.push((to, 0));
                }
                Some((to, Mark::Open)) => {
                    let circle = path.iter().map(|&(node, _)| node).skip_while(|&node| node != to);
                    self.cycles.push(circle.chain([to]).collect());
                }
                Some((_, Mark::Done)) => {}
                None => {
                    self.mark[here] = Mark::Done;
                    self.done.push(here);
                    path.pop();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cycle_is_told_with_its_whole_path_and_once() {
        assert_eq!(cycles(&[vec![1], vec![2], vec![0]]), [[0, 1, 2, 0]]);
        assert_eq!(cycles(&[vec![0]]), [[0, 0]]);
        assert_eq!(cycles(&[vec![1], vec![2], vec![1]]), [[1, 2, 1]]);
        assert_eq!(cycles(&[vec![1, 2], vec![3], vec![3], vec![]]), Vec::<Vec<usize>>::new());
        let chain: Vec<Vec<usize>> =
            (0..100_000).map(|i| if i + 1 < 100_000 { vec![i + 1] } else { vec![] }).collect();
        assert!(cycles(&chain).is_empty());
    }

    proptest! {
        #[test]
        fn every_service_stands_once_and_after_what_it_needs(
            edges in prop::collection::vec(prop::collection::vec(0_usize..8, 0..4), 8)
        ) {
            // Only edges to earlier numbers: no cycle.
            let edges: Vec<Vec<usize>> =
                edges.iter().enumerate().map(|(i, list)| list.iter().copied().filter(|&d| d < i).collect()).collect();
            let mut walk = Walk::new(&edges);
            (0..8).rev().for_each(|root| walk.visit(root));
            prop_assert!(walk.cycles.is_empty());
            prop_assert_eq!(walk.done.len(), 8);
            let place = |i: usize| walk.done.iter().position(|&d| d == i);
            for (i, needs) in edges.iter().enumerate() {
                prop_assert!(needs.iter().all(|&d| place(d) < place(i)));
            }
        }
    }
}
