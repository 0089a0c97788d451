//! Integer expressions of the story scripts: `unit * many`, `2..(age - 3)`, `max(2, 90 / age)`.
//!
//! ```text
//! sum     = product (("+" | "-") product)*
//! product = range (("*" | "/" | "%") range)*        / and % truncate
//! range   = atom [".." atom]                        an integer drawn from low..=high
//! atom    = ["-"] (integer | name | "(" sum ")" | name "(" sum ["," sum] ")")
//! ```
//!
//! The names `few`, `some` and `many` draw a number of the problem's size. The functions are
//! `min(a, b)`, `max(a, b)` and `part(a)`, a drawn part of `a` that leaves at least 2.

/// An integer expression.
#[derive(Debug)]
pub(super) enum Integer {
    Literal(i64),
    Name(String),
    /// A function of one or two arguments, or an operator by its sign.
    Call(&'static str, Vec<Integer>),
}

/// Functions with their numbers of arguments.
const FUNCTIONS: [(&str, usize); 3] = [("min", 2), ("max", 2), ("part", 1)];

impl Integer {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { rest: text.trim() };
        let value = parser.sum()?;
        if parser.rest.is_empty() { Ok(value) } else { Err(parser.unexpected()) }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn unexpected(&self) -> String {
        format!("unexpected `{}` in an expression", self.rest)
    }

    fn take(&mut self, symbol: &str) -> bool {
        let rest = self.rest.strip_prefix(symbol);
        self.rest = rest.unwrap_or(self.rest).trim_start();
        rest.is_some()
    }

    fn expect(&mut self, symbol: &str) -> Result<(), String> {
        if self.take(symbol) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn take_while(&mut self, accepts: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !accepts(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        taken
    }

    fn chain(
        &mut self,
        operators: &[&'static str],
        operand: fn(&mut Self) -> Result<Integer, String>,
    ) -> Result<Integer, String> {
        let mut value = operand(self)?;
        while let Some(operator) = operators.iter().find(|operator| self.take(operator)) {
            value = Integer::Call(operator, vec![value, operand(self)?]);
        }
        Ok(value)
    }

    fn sum(&mut self) -> Result<Integer, String> {
        self.chain(&["+", "-"], Self::product)
    }

    fn product(&mut self) -> Result<Integer, String> {
        self.chain(&["*", "/", "%"], Self::range)
    }

    fn range(&mut self) -> Result<Integer, String> {
        let low = self.atom()?;
        if !self.take("..") {
            return Ok(low);
        }
        Ok(Integer::Call("..", vec![low, self.atom()?]))
    }

    fn atom(&mut self) -> Result<Integer, String> {
        if self.take("-") {
            return Ok(Integer::Call("-", vec![Integer::Literal(0), self.atom()?]));
        }
        if self.take("(") {
            let value = self.sum()?;
            return self.expect(")").map(|()| value);
        }
        let digits = self.take_while(|c| c.is_ascii_digit() || c == '_');
        if let Ok(value) = digits.replace('_', "").parse() {
            return Ok(Integer::Literal(value));
        }
        let name = self.take_while(|c| c.is_ascii_alphabetic());
        if name.is_empty() {
            return Err(self.unexpected());
        }
        if !self.take("(") {
            return Ok(Integer::Name(name.to_owned()));
        }
        let &(function, count) = FUNCTIONS
            .iter()
            .find(|(function, _)| *function == name)
            .ok_or_else(|| format!("no function `{name}`"))?;
        let mut arguments = vec![self.sum()?];
        for _ in 1..count {
            self.expect(",")?;
            arguments.push(self.sum()?);
        }
        self.expect(")").map(|()| Integer::Call(function, arguments))
    }
}
