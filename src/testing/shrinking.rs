//! Values that proptest makes smaller part by part.
//!
//! proptest shrinks what a strategy is made of: numbers, and lists of them. A drill that loses a record often is no drill any
//! more, and what is left of a list of numbers is not the smallest list of records. So a value says itself what is a
//! little smaller, and the tree walks there: to the first that still fails, and on from there.

use std::fmt;

use proptest::{
    prelude::any,
    strategy::{NewTree, Strategy, ValueTree},
    test_runner::TestRunner,
};

/// A value that can be made from a number, and be made smaller.
pub(super) trait Shrinks: Clone + fmt::Debug {
    /// The values that are one part smaller, the smallest first. Following them ends.
    fn smaller(&self) -> Vec<Self>;

    /// Whether it still is what it should be: parts may refer to others.
    fn is_whole(&self) -> bool {
        true
    }
}

/// All values of a kind, each made from a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct FromSeed<T>(pub(super) fn(u64) -> T);

impl<T: Shrinks> Strategy for FromSeed<T> {
    type Tree = Tree<T>;
    type Value = T;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let seed = any::<u64>().new_tree(runner)?.current();
        Ok(Tree::of((self.0)(seed)))
    }
}

/// A value that failed, and those a little smaller that have not been tried yet.
#[derive(Debug)]
pub(super) struct Tree<T> {
    /// The smallest that is known to fail.
    failing: T,
    /// What is tried at present.
    current: T,
    left: std::vec::IntoIter<T>,
}

impl<T: Shrinks> Tree<T> {
    fn of(value: T) -> Self {
        Self {
            failing: value.clone(),
            current: value,
            left: Vec::new().into_iter(),
        }
    }

    fn try_next(&mut self) -> bool {
        let next = self.left.find(T::is_whole);
        let is_one = next.is_some();
        self.current = next.unwrap_or_else(|| self.failing.clone());
        is_one
    }
}

impl<T: Shrinks> ValueTree for Tree<T> {
    type Value = T;

    fn current(&self) -> T {
        self.current.clone()
    }

    /// What is tried fails: on to what is smaller still.
    fn simplify(&mut self) -> bool {
        self.failing = self.current.clone();
        self.left = self.failing.smaller().into_iter();
        self.try_next()
    }

    /// What is tried passes: back, and to the next.
    fn complicate(&mut self) -> bool {
        self.try_next()
    }
}

/// A list without one of its members, for each.
pub(super) fn without_one<T: Clone>(list: &[T]) -> impl Iterator<Item = Vec<T>> + '_ {
    (0..list.len()).map(|at| {
        let mut list = list.to_vec();
        list.remove(at);
        list
    })
}

#[cfg(test)]
mod tests {
    use proptest::test_runner::{Config, TestCaseError, TestError};

    use super::*;

    impl Shrinks for Vec<u8> {
        fn smaller(&self) -> Vec<Self> {
            without_one(self).collect()
        }
    }

    #[test]
    fn the_smallest_that_fails_is_found() {
        let config = Config {
            failure_persistence: None,
            ..Config::default()
        };
        let list = FromSeed(|_| vec![1, 7, 2, 7, 3]);
        let found = TestRunner::new(config).run(&list, |list: Vec<u8>| {
            match list.contains(&7) && list.contains(&3) {
                true => Err(TestCaseError::fail("it fails")),
                false => Ok(()),
            }
        });
        assert!(matches!(found, Err(TestError::Fail(_, list)) if list == [7, 3]));
    }
}
