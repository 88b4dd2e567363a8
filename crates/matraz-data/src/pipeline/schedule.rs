//! Which stage may go on next: what waits for what, how many run at once, and who holds which pool and mutex.
//!
//! A pure state machine: it starts nothing and asks no clock. A step is the place of a stage in the plan. With one job the
//! steps come strictly in their order.

use std::collections::{HashMap, HashSet};

/// What the command of a step occupies while it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Slots of a pool.
    pub pool: Option<(String, usize)>,
    /// Names of which one step at a time may hold each.
    pub mutexes: Vec<String>,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// All that this step waits for is settled: find out whether its command must run. It must be followed by
    /// [`wants`](Schedule::wants), [`settle`](Schedule::settle) or [`skip`](Schedule::skip) for the same step.
    Look(usize),
    /// The command of this step may start, and what it claims is its own until it is settled.
    Start(usize),
    /// Nothing more can be done before a running step is settled.
    Wait,
    /// Nothing runs, and nothing more is to be done.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Looked,
    Wanting,
    Running,
    Settled,
}

/// The steps of a reproduction and how far each is.
#[derive(Clone, Debug)]
pub struct Schedule {
    states: Vec<State>,
    /// How many unsettled steps each one waits for.
    waits_for: Vec<usize>,
    /// The steps that wait for each one.
    followers: Vec<Vec<usize>>,
    claims: Vec<Claim>,
    jobs: usize,
    free: HashMap<String, usize>,
    held: HashSet<String>,
    stopped: bool,
}

impl Schedule {
    /// `after[step]` are the steps that must be settled before `step`; all of them come before it. `pools` has the size
    /// of each pool that is claimed; no claim is larger than its pool. `jobs` is at least one.
    pub fn new(after: &[Vec<usize>], claims: Vec<Claim>, jobs: usize, pools: HashMap<String, usize>) -> Self {
        let mut followers = vec![Vec::new(); after.len()];
        for (step, earlier) in after.iter().enumerate() {
            for &other in earlier {
                followers[other].push(step);
            }
        }
        Self {
            states: vec![State::Waiting; after.len()],
            waits_for: after.iter().map(Vec::len).collect(),
            followers,
            claims,
            jobs,
            free: pools,
            held: HashSet::new(),
            stopped: false,
        }
    }

    /// What to do now. Steps that come first in the plan are served first; a step that waits for a pool is not overtaken
    /// by later ones that want the same pool.
    pub fn advance(&mut self) -> Next {
        let running = self.states.iter().filter(|state| **state == State::Running).count();
        if !self.stopped && running < self.jobs {
            if let Some(step) = self.startable() {
                self.claim(step);
                self.states[step] = State::Running;
                return Next::Start(step);
            }
            let ready = |step: &usize| self.states[*step] == State::Waiting && self.waits_for[*step] == 0;
            if let Some(step) = (0..self.states.len()).find(ready) {
                self.states[step] = State::Looked;
                return Next::Look(step);
            }
        }
        if running > 0 { Next::Wait } else { Next::Over }
    }

    /// The command of the step must run.
    pub fn wants(&mut self, step: usize) {
        self.states[step] = State::Wanting;
    }

    /// The step is done, or has failed: what waits for it may go on, and what it claimed is free.
    pub fn settle(&mut self, step: usize) {
        match self.states[step] {
            State::Settled => return,
            State::Running => self.release(step),
            State::Waiting | State::Looked | State::Wanting => {}
        }
        self.states[step] = State::Settled;
        for at in 0..self.followers[step].len() {
            let follower = self.followers[step][at];
            self.waits_for[follower] -= 1;
        }
    }

    /// The step is not to be done. A running one goes on to its end.
    pub fn skip(&mut self, step: usize) {
        if self.states[step] != State::Running {
            self.settle(step);
        }
    }

    /// Nothing more is to be started.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// The steps whose commands run.
    pub fn running(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.states.len()).filter(|&step| self.states[step] == State::Running)
    }

    fn startable(&self) -> Option<usize> {
        let mut awaited: HashSet<&str> = HashSet::new();
        for step in (0..self.states.len()).filter(|&step| self.states[step] == State::Wanting) {
            let claim = &self.claims[step];
            let fits = claim.pool.as_ref().is_none_or(|(pool, slots)| {
                !awaited.contains(pool.as_str()) && self.free.get(pool).is_some_and(|free| free >= slots)
            });
            if fits && !claim.mutexes.iter().any(|mutex| self.held.contains(mutex)) {
                return Some(step);
            }
            if let (false, Some((pool, _))) = (fits, &claim.pool) {
                awaited.insert(pool);
            }
        }
        None
    }

    fn claim(&mut self, step: usize) {
        let claim = &self.claims[step];
        if let Some((pool, slots)) = &claim.pool
            && let Some(free) = self.free.get_mut(pool)
        {
            *free -= slots;
        }
        self.held.extend(claim.mutexes.iter().cloned());
    }

    fn release(&mut self, step: usize) {
        let claim = &self.claims[step];
        if let Some((pool, slots)) = &claim.pool
            && let Some(free) = self.free.get_mut(pool)
        {
            *free += slots;
        }
        for mutex in &claim.mutexes {
            self.held.remove(mutex);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pool(name: &str, slots: usize) -> Claim {
        Claim { pool: Some((name.into(), slots)), mutexes: vec![] }
    }

    fn mutex(name: &str) -> Claim {
        Claim { pool: None, mutexes: vec![name.into()] }
    }

    /// All that can be started now, every step needing its command to run.
    fn start_all(schedule: &mut Schedule) -> Vec<usize> {
        let mut started = Vec::new();
        loop {
            match schedule.advance() {
                Next::Look(step) => schedule.wants(step),
                Next::Start(step) => started.push(step),
                Next::Wait | Next::Over => return started,
            }
        }
    }

    fn schedule(after: &[&[usize]], claims: &[Claim], jobs: usize, pools: &[(&str, usize)]) -> Schedule {
        let after: Vec<Vec<usize>> = after.iter().map(|list| list.to_vec()).collect();
        let mut claims = claims.to_vec();
        claims.resize(after.len(), Claim::default());
        let pools = pools.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect();
        Schedule::new(&after, claims, jobs, pools)
    }

    #[test]
    fn one_job_keeps_the_order_of_the_plan() {
        let mut schedule = schedule(&[&[], &[], &[0], &[]], &[], 1, &[]);
        let mut calls = Vec::new();
        loop {
            match schedule.advance() {
                // The second is up to date.
                Next::Look(1) => {
                    calls.push("look 1".to_owned());
                    schedule.settle(1);
                }
                Next::Look(step) => {
                    calls.push(format!("look {step}"));
                    schedule.wants(step);
                }
                Next::Start(step) => {
                    calls.push(format!("start {step}"));
                    assert_eq!(schedule.advance(), Next::Wait);
                    schedule.settle(step);
                }
                Next::Wait => panic!("nothing runs"),
                Next::Over => break,
            }
        }
        assert_eq!(calls, ["look 0", "start 0", "look 1", "look 2", "start 2", "look 3", "start 3"]);
    }

    #[test]
    fn a_step_starts_when_all_before_it_are_settled() {
        // A diamond and a loner, three at once.
        let mut schedule = schedule(&[&[], &[0], &[0], &[1, 2], &[]], &[], 3, &[]);
        assert_eq!(start_all(&mut schedule), [0, 4]);
        schedule.settle(0);
        assert_eq!(start_all(&mut schedule), [1, 2]);
        schedule.settle(2);
        assert_eq!(start_all(&mut schedule), [0; 0]);
        schedule.settle(1);
        assert_eq!(start_all(&mut schedule), [3]);
        schedule.settle(4);
        schedule.settle(3);
        assert_eq!(schedule.advance(), Next::Over);
    }

    #[test]
    fn pools_and_mutexes_bound_what_runs_at_once() {
        let claims = [pool("gpu", 1), pool("gpu", 2), pool("gpu", 1), mutex("db"), mutex("db")];
        let mut schedule = schedule(&[&[] as &[usize]; 5], &claims, 9, &[("gpu", 2)]);
        // The third would fit beside the first, and does not overtake the second.
        assert_eq!(start_all(&mut schedule), [0, 3]);
        schedule.settle(0);
        assert_eq!(start_all(&mut schedule), [1]);
        schedule.settle(3);
        assert_eq!(start_all(&mut schedule), [4]);
        schedule.settle(1);
        assert_eq!(start_all(&mut schedule), [2]);
    }

    #[test]
    fn after_a_stop_nothing_starts_and_a_skip_frees_what_follows() {
        let mut first = schedule(&[&[], &[0], &[1], &[]], &[], 2, &[]);
        assert_eq!(start_all(&mut first), [0, 3]);
        first.skip(1);
        first.skip(3);
        assert_eq!(first.running().collect::<Vec<_>>(), [0, 3]);
        first.settle(0);
        assert_eq!(start_all(&mut first), [2]);
        let mut second = schedule(&[&[], &[], &[]], &[], 2, &[]);
        assert_eq!(start_all(&mut second), [0, 1]);
        second.stop();
        second.settle(0);
        assert_eq!(second.advance(), Next::Wait);
        second.settle(1);
        assert_eq!(second.advance(), Next::Over);
    }

    proptest! {
        #[test]
        fn every_step_runs_once_within_all_bounds(
            edges in prop::collection::vec((0usize..12, 0usize..12), 0..30),
            claims in prop::collection::vec((0usize..3, 1usize..3, 0usize..4), 12),
            jobs in 1usize..5,
            picks in prop::collection::vec(0usize..5, 64),
        ) {
            let mut after = vec![Vec::new(); 12];
            for (a, b) in edges {
                let (a, b) = (a.min(b), a.max(b));
                if a != b && !after[b].contains(&a) {
                    after[b].push(a);
                }
            }
            let claims: Vec<Claim> = claims.into_iter().map(|(which, slots, lock)| Claim {
                pool: (which < 2).then(|| (format!("pool{which}"), slots)),
                mutexes: if lock < 2 { vec![format!("mutex{lock}")] } else { vec![] },
            }).collect();
            let pools = HashMap::from([("pool0".to_owned(), 2), ("pool1".to_owned(), 3)]);
            let mut schedule = Schedule::new(&after, claims.clone(), jobs, pools.clone());
            let mut settled = Vec::new();
            let mut running: Vec<usize> = Vec::new();
            let mut picks = picks.into_iter().cycle();
            loop {
                match schedule.advance() {
                    Next::Look(step) => {
                        prop_assert!(after[step].iter().all(|other| settled.contains(other)));
                        schedule.wants(step);
                    }
                    Next::Start(step) => {
                        running.push(step);
                        prop_assert!(running.len() <= jobs);
                        for (pool, size) in &pools {
                            let used: usize = running.iter().filter_map(|&at| claims[at].pool.as_ref())
                                .filter(|(name, _)| name == pool).map(|(_, slots)| slots).sum();
                            prop_assert!(used <= *size);
                        }
                        for name in ["mutex0", "mutex1"] {
                            let holders = running.iter().filter(|&&at| claims[at].mutexes.iter().any(|m| m == name));
                            prop_assert!(holders.count() <= 1);
                        }
                    }
                    Next::Wait => {
                        let step = running.swap_remove(picks.next().unwrap() % running.len());
                        schedule.settle(step);
                        settled.push(step);
                    }
                    Next::Over => break,
                }
            }
            settled.sort_unstable();
            prop_assert_eq!(settled, (0..12).collect::<Vec<_>>());
        }
    }
}
