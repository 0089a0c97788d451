//! What the commands of LaTeX and the names in plain text mean.

/// Meaning of a command or name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing for the value: spacing, size, a font of mathematics.
    Nothing,
    /// Its argument is text.
    Text,
    /// It and this many arguments are not seen.
    Hidden(usize),
    /// One character.
    Sign(char),
    /// A letter.
    Letter(char),
    /// A command under its one name.
    Command(&'static str),
}

/// Commands with one argument that make a name of it.
pub(crate) const ACCENTS: [&str; 11] = [
    "overline",
    "vec",
    "hat",
    "bar",
    "overrightarrow",
    "widehat",
    "tilde",
    "widetilde",
    "dot",
    "ddot",
    "overleftrightarrow",
];

/// Names of functions and their one name.
const FUNCTIONS: &[(&str, &str)] = &[
    ("sin", "sin"),
    ("cos", "cos"),
    ("tan", "tan"),
    ("sec", "sec"),
    ("csc", "csc"),
    ("cot", "cot"),
    ("arcsin", "arcsin"),
    ("arccos", "arccos"),
    ("arctan", "arctan"),
    ("asin", "arcsin"),
    ("acos", "arccos"),
    ("atan", "arctan"),
    ("tg", "tan"),
    ("ctg", "cot"),
    ("arctg", "arctan"),
    ("sinh", "sinh"),
    ("cosh", "cosh"),
    ("tanh", "tanh"),
    ("ln", "ln"),
    ("log", "log"),
    ("lg", "lg"),
    ("exp", "exp"),
    ("sqrt", "sqrt"),
];

/// Greek letters; a variant form is the same letter.
const GREEK: &[(&str, char)] = &[
    ("pi", 'π'),
    ("alpha", 'α'),
    ("beta", 'β'),
    ("gamma", 'γ'),
    ("delta", 'δ'),
    ("epsilon", 'ε'),
    ("varepsilon", 'ε'),
    ("zeta", 'ζ'),
    ("eta", 'η'),
    ("theta", 'θ'),
    ("vartheta", 'θ'),
    ("iota", 'ι'),
    ("kappa", 'κ'),
    ("lambda", 'λ'),
    ("mu", 'μ'),
    ("nu", 'ν'),
    ("xi", 'ξ'),
    ("rho", 'ρ'),
    ("sigma", 'σ'),
    ("tau", 'τ'),
    ("phi", 'φ'),
    ("varphi", 'φ'),
    ("chi", 'χ'),
    ("psi", 'ψ'),
    ("omega", 'ω'),
    ("Gamma", 'Γ'),
    ("Delta", 'Δ'),
    ("Theta", 'Θ'),
    ("Lambda", 'Λ'),
    ("Sigma", 'Σ'),
    ("Phi", 'Φ'),
    ("Psi", 'Ψ'),
    ("Omega", 'Ω'),
    ("ell", 'ℓ'),
];

/// Commands that are one character.
const SIGNS: &[(&str, char)] = &[
    ("le", '≤'),
    ("leq", '≤'),
    ("leqslant", '≤'),
    ("leqq", '≤'),
    ("ge", '≥'),
    ("geq", '≥'),
    ("geqslant", '≥'),
    ("geqq", '≥'),
    ("lt", '<'),
    ("gt", '>'),
    ("ne", '≠'),
    ("neq", '≠'),
    ("approx", '≈'),
    ("simeq", '≈'),
    ("thickapprox", '≈'),
    ("doteq", '≈'),
    ("equiv", '≡'),
    ("in", '∈'),
    ("cup", '∪'),
    ("bigcup", '∪'),
    ("cap", '∩'),
    ("bigcap", '∩'),
    ("setminus", '∖'),
    ("smallsetminus", '∖'),
    ("backslash", '∖'),
    ("pm", '±'),
    ("mp", '∓'),
    ("infty", '∞'),
    ("infin", '∞'),
    ("times", '*'),
    ("cdot", '*'),
    ("ast", '*'),
    ("bullet", '*'),
    ("div", '/'),
    ("to", '→'),
    ("rightarrow", '→'),
    ("longrightarrow", '→'),
    ("emptyset", '∅'),
    ("varnothing", '∅'),
    ("lor", '∨'),
    ("vee", '∨'),
    ("land", '∧'),
    ("wedge", '∧'),
    ("colon", ':'),
    ("mid", '|'),
    ("vert", '|'),
    ("lvert", '|'),
    ("rvert", '|'),
    ("Vert", '‖'),
    ("lVert", '‖'),
    ("rVert", '‖'),
    ("lfloor", '⌊'),
    ("rfloor", '⌋'),
    ("lceil", '⌈'),
    ("rceil", '⌉'),
    ("langle", '('),
    ("rangle", ')'),
    ("lbrace", '⦃'),
    ("rbrace", '⦄'),
    ("lbrack", '['),
    ("rbrack", ']'),
    ("ldots", '…'),
    ("dots", '…'),
    ("cdots", '…'),
    ("prime", '\''),
    ("R", 'ℝ'),
    ("N", 'ℕ'),
    ("Z", 'ℤ'),
    ("Q", 'ℚ'),
    ("C", 'ℂ'),
    ("reals", 'ℝ'),
    ("percent", '%'),
];

/// Commands that do not change the value.
const NOTHING: &[&str] = &[
    "left",
    "right",
    "middle",
    "big",
    "Big",
    "bigg",
    "Bigg",
    "bigl",
    "bigr",
    "Bigl",
    "Bigr",
    "biggl",
    "biggr",
    "Biggl",
    "Biggr",
    "displaystyle",
    "textstyle",
    "scriptstyle",
    "limits",
    "nolimits",
    "quad",
    "qquad",
    "enspace",
    "thinspace",
    "space",
    "mathbf",
    "boldsymbol",
    "bm",
    "mathit",
    "mathcal",
    "mathscr",
    "mathsf",
    "bold",
    "bf",
    "rm",
    "it",
    "boxed",
    "fbox",
    "strut",
    "mathstrut",
    "nonumber",
    "notag",
    "hfill",
    "large",
    "Large",
];

pub(crate) const TEXTS: &[&str] = &[
    "text",
    "textbf",
    "textrm",
    "textit",
    "textnormal",
    "texttt",
    "textsf",
    "textup",
    "mbox",
    "hbox",
    "mathrm",
    "operatorname",
    "emph",
    "underline",
    "mathop",
];

const HIDDEN: &[(&str, usize)] = &[
    ("hspace", 1),
    ("vspace", 1),
    ("phantom", 1),
    ("hphantom", 1),
    ("vphantom", 1),
    ("label", 1),
    ("tag", 1),
    ("color", 1),
    ("textcolor", 1),
    ("mathchoice", 0),
];

/// The meaning of `\name`; `None` if it has none here.
pub(super) fn meaning(name: &str) -> Option<Meaning> {
    fn of<T: Copy>(list: &[(&str, T)], name: &str) -> Option<T> {
        list.iter().find(|(known, _)| *known == name).map(|(_, meaning)| *meaning)
    }
    if NOTHING.contains(&name) {
        return Some(Meaning::Nothing);
    }
    if TEXTS.contains(&name) {
        return Some(Meaning::Text);
    }
    let fraction = matches!(name, "frac" | "dfrac" | "tfrac" | "cfrac");
    let binomial = matches!(name, "binom" | "dbinom" | "tbinom");
    let modulo = matches!(name, "pmod" | "bmod" | "mod" | "pod");
    match name {
        _ if fraction => Some(Meaning::Command("frac")),
        _ if binomial => Some(Meaning::Command("binom")),
        _ if modulo => Some(Meaning::Command("mod")),
        _ => of(FUNCTIONS, name)
            .map(Meaning::Command)
            .or_else(|| of(SIGNS, name).map(Meaning::Sign))
            .or_else(|| of(GREEK, name).map(Meaning::Letter))
            .or_else(|| of(HIDDEN, name).map(Meaning::Hidden)),
    }
}

/// The meaning of a name without a backslash.
pub(super) fn plain(name: &str) -> Option<Meaning> {
    match name {
        "pi" | "Pi" | "PI" => Some(Meaning::Letter('π')),
        "infinity" | "Infinity" | "inf" | "oo" => Some(Meaning::Sign('∞')),
        "mod" => Some(Meaning::Command("mod")),
        _ => {
            FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, one)| Meaning::Command(one))
        }
    }
}

/// Whether a run of letters is a word and not a product of variables.
pub(super) fn is_word(run: &str, prose: bool, after_number: bool) -> bool {
    let length = run.chars().count();
    let capitals = run.chars().all(char::is_uppercase);
    prose
        || length > 4
        || (length == 4 && !capitals)
        || (after_number && length > 1 && crate::units::is_unit(&run.to_lowercase()))
        || matches!(
            run,
            "so" | "So"
                | "we"
                | "We"
                | "to"
                | "of"
                | "If"
                | "It"
                | "In"
                | "my"
                | "My"
                | "pct"
                | "not"
                | "the"
                | "for"
                | "any"
                | "all"
                | "are"
                | "is"
                | "if"
        )
}
