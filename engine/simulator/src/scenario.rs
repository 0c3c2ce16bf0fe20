//! What the scenarios of both levels have in common: their numbers, and how adversaries are named. A scenario prints as the arguments that replay it.

use std::fmt::{self, Display};

/// Who is against the nodes of a run.
pub trait Opponent: Copy + Display + Send + Sync + 'static {
    /// Most nodes of a run against one.
    const NODES_MAX: usize;
    /// All of them.
    fn all() -> &'static [Self];
    /// Its name, as it is typed.
    fn name(self) -> &'static str;
    /// What it does, in a line.
    fn description(self) -> &'static str;
}

/// A name that no adversary has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no adversary is called {0:?}")]
pub struct UnknownAdversary(pub String);

/// Declares `Adversary`, an [`Opponent`], from names and descriptions.
macro_rules! adversaries {
    ($(#[$doc:meta])* up to $nodes_max:expr; $($variant:ident = $name:literal: $what:literal,)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Adversary {
            $(#[doc = $what] $variant,)+
        }

        impl Adversary {
            /// All of them.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// Its name, as it is typed.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What it does, in a line.
            pub fn description(self) -> &'static str {
                match self {
                    $(Self::$variant => $what,)+
                }
            }
        }

        impl $crate::scenario::Opponent for Adversary {
            const NODES_MAX: usize = $nodes_max;

            fn all() -> &'static [Self] {
                &Self::ALL
            }

            fn name(self) -> &'static str {
                self.name()
            }

            fn description(self) -> &'static str {
                self.description()
            }
        }

        impl std::fmt::Display for Adversary {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.pad(self.name())
            }
        }

        impl std::str::FromStr for Adversary {
            type Err = $crate::scenario::UnknownAdversary;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.into_iter().find(|adversary| adversary.name() == name);
                found.ok_or_else(|| $crate::scenario::UnknownAdversary(name.to_owned()))
            }
        }
    };
}
pub(crate) use adversaries;

/// One run: everything that happens in it follows from these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario<A> {
    nodes: usize,
    faulty: usize,
    adversary: A,
    seed: u64,
}

/// Why there is no such run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// Too few or too many.
    #[error("a run has 1 to {most} nodes, not {nodes}")]
    Nodes {
        /// Nodes asked for.
        nodes: usize,
        /// Most of them.
        most: usize,
    },
    /// More faulty nodes than the protocol claims to bear.
    #[error("of {nodes} nodes at most {most} may be faulty, not {faulty}")]
    Faulty {
        /// Nodes.
        nodes: usize,
        /// Faulty nodes asked for.
        faulty: usize,
        /// Faulty nodes that they bear.
        most: usize,
    },
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome<R, V> {
    /// What happened.
    pub report: R,
    /// What must never happen, if it did.
    pub violation: Option<V>,
}

impl<A: Opponent> Scenario<A> {
    /// A run of `nodes`, of which `faulty` are the adversary's.
    ///
    /// # Errors
    /// When the protocol makes no claim for so many.
    pub fn new(nodes: usize, faulty: usize, adversary: A, seed: u64) -> Result<Self, ScenarioError> {
        if !(1..=A::NODES_MAX).contains(&nodes) {
            return Err(ScenarioError::Nodes { nodes, most: A::NODES_MAX });
        }
        let most = faulty_max(nodes);
        if faulty > most {
            return Err(ScenarioError::Faulty { nodes, faulty, most });
        }
        Ok(Self { nodes, faulty, adversary, seed })
    }

    /// The same with another seed.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// How many of them are the adversary's.
    pub fn faulty(&self) -> usize {
        self.faulty
    }

    /// Who is against them.
    pub fn adversary(&self) -> A {
        self.adversary
    }

    /// What everything in it follows from.
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

impl<A: Opponent> Display for Scenario<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nodes, faulty, adversary, seed } = self;
        write!(formatter, "--nodes {nodes} --faulty {faulty} --adversary {adversary} --seed {seed}")
    }
}

/// f = ⌊(n−1)/3⌋: how many of `nodes` may be faulty.
pub fn faulty_max(nodes: usize) -> usize {
    nodes.saturating_sub(1) / 3
}
