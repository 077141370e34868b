//! Einstein sums of two signals: element by element with axes that one of them lacks, or a matrix product of each pair of matrices.

use super::graph::{Import, Taken, Variable};
use crate::tape::Op;

/// The letters of a sum's two inputs and of its output.
fn letters(equation: &str) -> Option<(Vec<char>, Vec<char>, Vec<char>)> {
    let text: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (inputs, output) = text.split_once("->")?;
    let (a, b) = inputs.split_once(',')?;
    let list = |part: &str| {
        let all: Vec<char> = part.chars().collect();
        let once = all.iter().all(|c| c.is_ascii_alphabetic() && all.iter().filter(|other| *other == c).count() == 1);
        once.then_some(all)
    };
    Some((list(a)?, list(b)?, list(output)?))
}

impl Import<'_> {
    /// The sum of an equation over two signals.
    pub(super) fn einsum(&mut self, name: &str, equation: &str, a: &Variable, b: &Variable) -> Taken<Variable> {
        let unknown = || format!("the sum '{equation}', for which there is no op here yet");
        let (of_a, of_b, of_y) = letters(equation).ok_or_else(unknown)?;
        let batch = of_y.first().copied();
        let known = of_y.iter().all(|c| of_a.contains(c) || of_b.contains(c));
        if !known
            || of_a.len() != a.seen.len()
            || of_b.len() != b.seen.len()
            || of_a.first().copied() != batch
            || of_b.first().copied() != batch
        {
            return Err(unknown());
        }
        let summed: Vec<char> = of_a.iter().chain(&of_b).copied().filter(|c| !of_y.contains(c)).collect();
        if summed.is_empty() {
            let wanted = |own: &[char]| of_y.iter().map(|c| own.contains(c).then_some(*c)).collect::<Vec<_>>();
            let (a, b) = (self.arranged(name, a, &of_a, &wanted(&of_a))?, self.arranged(name, b, &of_b, &wanted(&of_b))?);
            return self.of_two(name, Op::Multiply, &a, &b);
        }
        let both: Vec<char> = of_y.iter().copied().filter(|c| of_a.contains(c) && of_b.contains(c)).collect();
        let only =
            |own: &[char], other: &[char]| own.iter().copied().filter(|c| of_y.contains(c) && !other.contains(c)).collect::<Vec<_>>();
        let (left, right) = (only(&of_a, &of_b), only(&of_b, &of_a));
        let [sum, again] = summed[..] else { return Err(unknown()) };
        if sum != again || left.len() > 1 || right.len() > 1 {
            return Err(unknown());
        }
        let (left, right) = (left.first().copied(), right.first().copied());
        let order = |last: [Option<char>; 2]| both.iter().copied().map(Some).chain(last).collect::<Vec<_>>();
        let a = self.arranged(name, a, &of_a, &order([left, Some(sum)]))?;
        let b = self.arranged(name, b, &of_b, &order([Some(sum), right]))?;
        let (a, b) = (self.exact(name, &a), self.exact(name, &b));
        let product = self.apply(name, Op::Matmul, &[&a, &b], &[])?;
        let found: Vec<char> = both.iter().copied().chain(left).chain(right).collect();
        let seen = order([left, right]).iter().zip(&product.seen).filter(|(c, _)| c.is_some()).map(|(_, size)| *size).collect();
        self.arranged(name, &Variable { seen, ..product }, &found, &of_y.into_iter().map(Some).collect::<Vec<_>>())
    }

    /// A signal with its axes in the order of letters; one of size 1 where there is none.
    fn arranged(&mut self, name: &str, x: &Variable, own: &[char], wanted: &[Option<char>]) -> Taken<Variable> {
        let order: Vec<usize> = wanted.iter().flatten().filter_map(|c| own.iter().position(|other| other == c)).collect();
        let mut found = x.clone();
        if !order.is_sorted() {
            let exact = self.exact(name, x);
            found = self.reordered(&format!("{name}/order"), &exact, order[1..].to_vec())?;
        }
        let mut sizes = found.seen.clone().into_iter();
        let seen = wanted.iter().map(|c| if c.is_some() { sizes.next().unwrap_or(1) } else { 1 }).collect();
        Ok(Variable { seen, ..found })
    }
}
