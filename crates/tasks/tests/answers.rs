//! Answers as people and models write them: what is paid and what is not, by kind.
//!
//! The rows follow the published tests and rules of Math-Verify, MATH's `is_equiv`, Minerva and
//! lm-evaluation-harness, and bug reports of reward functions.

use bestof_tasks::verify::{ChoiceVerifier, MathVerifier, NumberVerifier, Verification, Verifier};

/// Completions that are the answer, and completions that are not.
struct Case {
    answer: &'static str,
    right: &'static [&'static str],
    wrong: &'static [&'static str],
}

const fn case(
    answer: &'static str,
    right: &'static [&'static str],
    wrong: &'static [&'static str],
) -> Case {
    Case { answer, right, wrong }
}

fn check<V: Verifier>(verifier: impl Fn(&str) -> V, cases: &[Case]) {
    for Case { answer, right, wrong } in cases {
        let verifier = verifier(answer);
        for (completions, reward) in [(right, 1.0), (wrong, 0.0)] {
            for completion in *completions {
                let found = verifier.verify(completion);
                assert_eq!(
                    found.reward, reward,
                    "{completion:?} for {answer:?}: {:?}, {}",
                    found.outcome, found.reason
                );
            }
        }
    }
}

/// Checks completions that are the contents of a box.
fn math(cases: &[Case]) {
    check(|answer| Boxed(MathVerifier::new(answer).unwrap_or_else(|e| panic!("{e}"))), cases);
}

/// Puts what it verifies into a box.
#[derive(Debug)]
struct Boxed(MathVerifier);

impl Verifier for Boxed {
    fn verify(&self, completion: &str) -> Verification {
        self.0.verify(&format!("\\boxed{{{completion}}}"))
    }
}

#[test]
fn the_answer_is_found_in_every_layout() {
    check(
        |answer| MathVerifier::new(answer).unwrap(),
        &[case(
            "9",
            &[
                "Answer \\( 9 \\)",
                "Answer $ 9 $",
                "Answer \\[ \n 9 \n \\]",
                "Answer $$ \n 9 \n $$",
                "The answer is \\(9\\).",
                "So the final answer is\n\\[\n9\n\\]",
                "**Final Answer**\n\n\\[\n\\boxed{9}\n\\]",
                "Final Answer: The final answer is $9$. I hope it is correct.",
                "Final Answer: The largest $n$ is 9.",
                "Answer: $9$ apples",
                "Thus, the answer is $9$ because 2+7=9.",
                "The answer is $x=9$, where $x$ is the number of apples.",
                "\\boxed 9",
                "$\\boxed{9}$ \\boxed{}",
                "<think>I think \\boxed{3}</think> So \\boxed{9}",
                "\\boxed{9}. So the answer is \\boxed{9.0}",
                "The answer is:\n```\n9\n```",
                "So we have $x=9$.",
                "Step 1: 1+1=2\nStep 2: 2+7=9",
            ],
            &[
                "Answer $ \n 9 \n $",
                "<think>I think \\boxed{9}</think> I do not know.",
                "<think>It is 9",
                "\\boxed{9}\n\nWait, \\boxed{3}",
                "\\boxed{3}\n\nWait, \\boxed{9}",
                "\\boxed{9} or \\boxed{3}",
                "\\boxed{9",
                "\\boxed{}",
                "The answer is not 9.",
                "The answer is 9 or 3.",
                "The answer is $9$, not $3$.",
                "The answer is at least 9",
                "So $x=9$ and then $y=3$",
                "AZYUK9A",
            ],
        )],
    );
}

#[test]
fn the_formula_of_a_sentence_is_its_answer() {
    check(
        |answer| MathVerifier::new(answer).unwrap(),
        &[
            case(
                "\\frac{1}{2}",
                &[
                    "\\boxed \\frac{1}{2}",
                    "Therefore the probability is \\frac{1}{2}.",
                    "The probability is $\\frac{1}{2}$.",
                    "Therefore, $P = \\boxed{\\frac{1}{2}}$.",
                    "<answer>$\\frac{1}{2}$</answer>",
                    "```\n1/2\n```",
                    "$x=1/2\\approx0.5$",
                    "The answer is 50%",
                ],
                &["The answer is \\frac{1}{2} or \\frac{1}{3}", "$\\frac{1}{2}$ or $\\frac{1}{3}$"],
            ),
            case(
                "1000.99",
                &[
                    "so the number is 10 which is 1,000.99m²",
                    "not it's not 10 it's 1,000.99m²",
                    "1000,99",
                    "1,000.99$",
                ],
                &["1000.99 or 1000.98"],
            ),
            case(
                "(3,-2)",
                &["the vertex is at (3, -2).", "Final Answer: The final answer is $(3,-2)$. Good."],
                &["the vertex is at (3, 2).", "the vertex is at -2."],
            ),
            case(
                "2",
                &["I get 2 apples"],
                &["the vertex is at (3, 2).", "Thus f(2)", "either 1 or $2$, or 3"],
            ),
            case("$28\\%$", &["28 pct", "$28$ %", "$\\boxed{28 percent}$"], &["$27$ %"]),
            case("\\text{Monday}", &["The answer is Monday."], &["The answer is Tuesday."]),
        ],
    );
}

#[test]
fn numbers_and_their_spellings() {
    math(&[
        case(
            "1000",
            &["1 000", "1000.0", "1,000", "1{,}000", "1,\\! 000", "10^3"],
            &["1.000", "1"],
        ),
        case("11111111100", &["11,\\!111,\\!111,\\!100", "11,\\! 111,\\! 111,\\! 100"], &[]),
        case("1,22", &["1.22"], &["122"]),
        case("2.5", &["2\\frac12", "2\\frac{1}{2}", "2 1/2", "2½", "5/2"], &["2 \\cdot \\frac12"]),
        case("\\frac{7}{2}", &["3\\tfrac12", "3.5"], &["\\frac72 \\text{ or } 3", "\\frac32"]),
        case("5400000", &["5.4\\times10^6", "5.4 x 10^6", "5.4 × 10⁶", "5.4e6"], &["5.4^6"]),
        case("\\frac13", &["0.\\overline{3}", "0.333333333333333"], &["0.333", "0.3"]),
        case("\\frac{1}{12}", &["0.0833333333333333"], &["0.0833"]),
        case("0.5", &["50\\%", ".5", "\\$0.50", "0,5"], &["5\\%", "5"]),
        case(
            "125",
            &["125\\textnormal{ miles}", "125 \\text{ square units}", "125~\\text{cm}^2"],
            &[],
        ),
        case("10", &["\\text{10 dollars}", "10 \\mathrm{~cm}", "\\text{10}"], &["1000"]),
        case("2\\text{ m}", &["200\\text{ cm}", "2"], &["2\\text{ cm}", "2\\text{ kg}"]),
        case("24", &["2 \\text{ dozen}"], &["\\text{half of }24", "\\text{negative }24"]),
        case("90^\\circ", &["90", "90^{\\circ}", "90°", "90\\text{ degrees}"], &["9"]),
        case("12:00", &["12:00"], &["1:00", "12", "12:30"]),
        case("10:45", &["10:45\\text{ a.m.}"], &["10.45"]),
        case("10:45\\text{ a.m.}", &["10:45\\text{ am}"], &["10:45\\text{ p.m.}"]),
        case("101_2", &["101_2", "101_{2}"], &["101_3", "101", "5"]),
        case("14", &["14\\pmod{17}"], &["17"]),
        case("3 \\pmod 7", &["3"], &["3\\pmod 8"]),
    ]);
}

#[test]
fn a_number_is_worked_out() {
    math(&[
        case("6", &["6", "6.0", "\\frac{12}{2}", "x = 2\\cdot3 = 6"], &["3!", "36^{1/2}", "3x"]),
        case("2", &["(2)", "[2]", "\\{2\\}", "1+1=2"], &["\\sqrt{4}", "2^1", "|{-2}|", "2\\pm1"]),
        case("-1", &["-1", "-\\,1"], &["i^2", "e^{i\\pi}"]),
        case("e^{i\\pi}", &["-1"], &["1"]),
        case("2^{100}", &["4^{50}"], &["4^{51}"]),
        case("\\log_2 8", &["3"], &["8"]),
        case("\\binom{5}{2}", &["10"], &["\\binom{5}{1}"]),
        case("2^{1000}-1", &["4^{500}-1"], &["2^{1000}+1", "2^{1000}"]),
        case("\\frac{1}{2004!}", &["\\frac{1}{2004!}"], &["\\frac{1}{2006!}"]),
        case("4", &[], &["4 or 5", "4\\sqrt{2}", "\\frac{34}{16}+\\frac{\\sqrt{1358}}{16}"]),
        case("1 - \\frac{1}{\\mathrm{e}}", &["1-e^{-1}"], &["1 + \\frac{1}{\\mathrm{e}}"]),
    ]);
}

#[test]
fn expressions_and_functions() {
    math(&[
        case("\\frac{1}{\\sqrt{n}}", &["\\sqrt{1/n}"], &["\\sqrt{n}"]),
        case("1/2x", &["\\frac{x}{2}", "x/2"], &["\\frac{1}{2x}"]),
        case("x^{2/3}", &["\\sqrt[3]{x^2}"], &["\\sqrt{x^3}"]),
        case("\\tan^2(y)+1", &["\\sec^2(y)"], &["\\csc^2(y)"]),
        case("\\arctan 2", &["\\tan^{-1}(2)"], &["\\frac{1}{\\tan 2}"]),
        case("\\frac{1}{1+i}", &["\\frac{1-i}{2}"], &["\\frac{1+i}{2}"]),
        case("1+2i", &["2i+1"], &["1-2i"]),
        case("|x|", &["\\lvert x \\rvert", "\\sqrt{x^2}"], &["x"]),
        case("\\lfloor x \\rfloor", &["\\left\\lfloor x \\right\\rfloor"], &["\\lceil x \\rceil"]),
        case("x_1+x_2", &["x_2+x_1"], &["x_1+x_3", "x+x"]),
        case("x+2n+1", &["2n+x+1"], &["x+1"]),
        case("f(x)=x^2", &["x^2", "f(x) = x \\cdot x"], &["g(x)=x^2", "x^2=0"]),
        case(
            "F_n = \\sum_{k=0}^{n-1} F_k F_{n-k-1}",
            &["F_n = \\sum_{k=0}^{n-1} F_{n-k-1} F_k"],
            &["F_n = \\sum_{k=0}^{n-2} F_k F_{n-k-2}"],
        ),
        case("\\int_0^1 x\\,dx", &["\\int_0^1 x dx"], &["\\int_0^2 x dx"]),
        case("\\overline{AB}", &["\\overline{AB}"], &["\\overline{CD}"]),
        case("A\\cup B", &["B\\cup A"], &["A\\cap B"]),
    ]);
}

#[test]
fn a_left_side_is_dropped_only_if_it_is_a_name() {
    math(&[
        case("5", &["x=5", "AB=5", "f(2)=5", "|AB|=5", "A:B=5"], &["x+y=5", "2x=5", "x^2=5"]),
        case("\\angle ABC = 30^\\circ", &["30"], &["ABC"]),
        case("x=5", &["5"], &["y=5"]),
        case("x+y=5", &["y+x=5", "2x+2y=10"], &["5", "x-y=5"]),
        case("a+b=c", &["c=a+b"], &["c", "a+b"]),
        case("m^2=n", &["n=m^2"], &["n"]),
        case("34x+45y-20z+100=0", &["-34x-45y+20z-100=0"], &["34x+45y-20z-100=0"]),
        case("3x-y+13=0", &["y=3x+13"], &["3x+4y+14=0"]),
        case("y=2x+3", &["2x+3", "2x-y+3=0"], &["y=2x-3", "x=2y+3"]),
        case("7 = 11a+c", &["11a+c=7"], &["11a+c"]),
        case("1 = \\zzz = x = 0", &["0"], &["1"]),
        case("z = 1 + 1 = 2", &["z = 3+3 = 2"], &["3"]),
        case("(p,q)=(3,2)", &["(3,2)", "p=3, q=2"], &["(2,3)", "(q,p)=(3,2)"]),
        case("V_{1}:V_{2}=11:21", &["11:21"], &["21:11"]),
    ]);
}

#[test]
fn relations_and_intervals() {
    math(&[
        case("x \\geq 5", &["x \\ge 5", "5 \\leq x", "[5,\\infty)", "x\\geqslant5"], &["x>5", "5"]),
        case("x > 5", &["2x > 10", "-x < -5"], &["|x| > 5", "x > -5"]),
        case("x < 3", &["x \\lt 3", "(-\\infty,3)"], &["x > 3", "3 < x", "y < 3"]),
        case("x \\neq 3", &["x \\ne 3", "x != 3"], &["x = 3", "3"]),
        case("[-2,7]", &["x \\in [-2,7]", "-2 \\\\le x \\\\le 7", "-2 <= x <= 7"], &["(-2,7)"]),
        case("(1, +\\infty)", &["(1,\\infty)", "x>1"], &["[1,\\infty)"]),
        case("0<f(x)<1", &["(0,1)"], &["[0,1)", "(1,0)"]),
        case(
            "\\mathbb{R}",
            &["(-\\infty,\\infty)", "\\mathbb R"],
            &["\\mathbb{R}\\setminus\\{0\\}"],
        ),
        case(
            "1\\leq|z|\\leq \\frac{3}{2}",
            &["z \\in \\left[-\\frac{3}{2}, -1\\right] \\cup \\left[1, \\frac{3}{2}\\right]"],
            &["z \\in [1, \\frac32]"],
        ),
        case(
            "(-\\infty,-5)\\cup(5,\\infty)",
            &["x<-5 \\text{ or } x>5", "|x|>5", "(5,\\infty)\\cup(-\\infty,-5)"],
            &["(-\\infty,-5]\\cup(5,\\infty)", "(5,\\infty)", "|x|<5"],
        ),
        case("2x+3y\\le 6", &["6 \\ge 3y+2x", "4x+6y\\le12"], &["2x+3y\\ge 6", "2x+3y<6"]),
        case("\\{x \\mid x>2\\}", &["(2,\\infty)"], &["[2,\\infty)"]),
        case("(0,1)", &["0<x<1"], &["0,1", "0.1"]),
        case("0,1", &["1,0"], &["(0,1)", "1,000", "1,000.0"]),
        case("D = (0, 1)", &["D = (0, 1)", "(0,1)"], &["D = (0, 1.5)", "0,1"]),
    ]);
}

#[test]
fn lists_sets_tuples_and_matrices() {
    math(&[
        case("1,-2", &["1 \\text{ and } -2", "-2, 1", "\\{1,-2\\}"], &["1", "(1,-2)", "1,-2,3"]),
        case("x=1 \\text{ or } x=2", &["1, 2", "x=2,x=1"], &["1", "y=1,y=2"]),
        case("19, 46, and 82", &["19, 46, \\text{ and } 82"], &["19, 46"]),
        case("21,16$ or $11", &["21,16,11"], &["21,16"]),
        case("12\\text{ and }13", &["12, 13"], &["1213", "12"]),
        case("-12;-11;-10", &["\\{-12, -11, -10\\}"], &["-12;-11"]),
        case("\\{1\\}", &["1"], &["2"]),
        case("\\emptyset", &["\\varnothing", "\\{\\}"], &["\\{0\\}"]),
        case("\\pm 3", &["\\pm 3", "3,-3", "\\{-3, 3\\}"], &["3", "-3"]),
        case("\\frac{-1\\pm\\sqrt5}{2}", &["\\frac{-1+\\sqrt{5}}{2},\\frac{-1-\\sqrt{5}}{2}"], &[]),
        case("n=2, 3, 4", &["2,3,4"], &["n=1, 2, 3"]),
        case("x=1, y=2", &["(1,2)", "y=2, x=1", "1,2"], &["(2,1)", "x=2, y=1", "2,1"]),
        case("AB=4,CD=5", &["4, 5"], &["5, 4"]),
        case("p=5,q=2;p=7,q=2", &["(5,2),(7,2)"], &["(2,5),(2,7)"]),
        case("(11,7)or(7,11)", &["(7,11),\\ (11,7)"], &["(7,11)"]),
        case("\\boxed{1} papers and \\boxed{2} bins", &["1,2"], &["2"]),
        case("\\\\boxed{35 cm} ++++++ \\\\boxed{4}", &["35 cm, 4"], &["4"]),
        case("(3,1)", &["(3, 1)", "\\left(3,1\\right)"], &["{1,3}", "(1,3)", "[3,1]"]),
        case(
            "\\begin{pmatrix} 1/2 \\\\ 3 \\end{pmatrix}",
            &[
                "\\begin{pmatrix}\\frac{1}{2}\\\\3\\end{pmatrix}",
                "\\begin{bmatrix}0.5\\\\3\\end{bmatrix}",
            ],
            &[
                "\\begin{pmatrix}\\frac12&3\\end{pmatrix}",
                "\\begin{pmatrix}3\\\\\\frac12\\end{pmatrix}",
            ],
        ),
        case(
            "\\text{no solution}",
            &["\\text{No solution}", "No solution."],
            &["\\text{one solution}"],
        ),
        case("\\text{odd}", &["odd"], &["even"]),
        case("d", &["d"], &["\\text{E}"]),
        case("\\mathrm{(C)}\\ 5", &["C", "5", "\\text{(C) }5"], &["B", "4"]),
        case("2", &["\\text{(B) }2"], &["\\text{(B) }3"]),
    ]);
}

#[test]
fn a_number_is_everything_in_its_part() {
    check(
        |answer| NumberVerifier::new(answer).unwrap(),
        &[case(
            "5",
            &[
                "\\boxed{5.}",
                "\\boxed{\\text{5}}",
                "\\boxed 5",
                "$\\boxed{5}$ \\boxed{}",
                "(5)",
                "The answer is: $5$.",
                "Therefore, the answer is \\[5\\]",
                "Answer = 5",
                "答案是5。",
                "Ответ: 5",
                "The answer is 5!",
                "500%",
                "\\boxed{n=5}",
                "The answer is about 5",
                "The answer is 5 because 2+3=5.",
                "#### 5 apples per day",
                "#### Natalia has 5 clips",
                "#### 2+3=5",
                "The final answer is:\n\n**5**",
                "It takes 10 days from 2 machines. #### 5 days.",
                "\\boxed{\\frac{10}{2}}",
                "5,00",
            ],
            &[
                "\\boxed{5^2}",
                "\\boxed{\\sqrt{5}}",
                "\\boxed{5x}",
                "\\boxed{|-5|}",
                "\\boxed{5!}",
                "\\boxed{x \\ge 5}",
                "\\boxed{5 \\pm 1}",
                "\\boxed{5:1}",
                "\\boxed{5\\pi}",
                "\\boxed{5_2}",
                "\\boxed{x+5}",
                "\\boxed{5+0}",
                "\\boxed{2x=5}",
                "5x",
                "x5",
                "2^5",
                "The answer is negative 5.",
                "The answer is 5 dozen",
                "#### 5 million",
                "#### half of 5",
                "#### at least 5",
                "#### more than 5",
                "#### 5 or 6",
                "#### 5 - 5",
                "it is not 5",
                "\\boxed{4} or \\boxed{5}",
                "\\boxed{5}. No, \\boxed{4}",
                "<think>2+3=5</think>",
                "AZYUK5A",
                "It is f(5)",
                "The point is (3, 5).",
            ],
        )],
    );
}

#[test]
fn quantities_are_compared_with_their_units() {
    check(
        |answer| NumberVerifier::new(answer).unwrap(),
        &[
            case(
                "0.5",
                &["\\boxed{\\frac12}", "½", "\\boxed{0.5}", "50 percent"],
                &["a half", "5"],
            ),
            case("3.5", &["\\boxed{3 1/2}", "\\boxed{3\\frac12}", "3½"], &["\\boxed{\\frac32}"]),
            case("-5", &["\\boxed{-\\,5}", "The temperature is -5°C.", "#### minus 5"], &["5"]),
            case(
                "0.000012",
                &["\\boxed{1.2 \\times 10^{-5}}", "1.2 x 10^-5", "1.2 × 10⁻⁵"],
                &["1.2"],
            ),
            case("1000", &["1 000", "1,000", "1{,}000", "1000.00"], &["1.000", "1000,5"]),
            case("120", &["\\boxed{120\\text{ cm}^2}", "\\boxed{120 \\text{ cm}^2}"], &["120^2"]),
            case("10 km", &["10 km", "10000 m"], &["10 m", "10 kg"]),
            case("36", &["3 dozen"], &["3"]),
            case("$5", &["5 dollars", "500 cents", "\\boxed{\\$5}", "5"], &["5%", "5 cents"]),
            case("2/3", &["\\boxed{2 / 3}"], &["0.667", "2:3"]),
        ],
    );
}

#[test]
fn an_option_is_named_and_no_other() {
    check(
        |answer| ChoiceVerifier::new(answer).unwrap(),
        &[
            case(
                "B",
                &[
                    "The answer is option B.",
                    "Option B is correct.",
                    "Because B is valid",
                    "`B`",
                    "\\boxed{\\textbf{(B) } 12}",
                    "\\boxed{B. 12}",
                    "**Answer:** B) the sun",
                    "The answer is:\n\nB",
                    "b) the sun",
                    "Answer - B",
                    "答案：B",
                    "[[B]]",
                    "The answer is (B) the sun (A star)",
                    "Answer: B\nExplanation: A is wrong.",
                    "It must be B since A is too small",
                    "\\[\\boxed{B}\\]",
                ],
                &[
                    "(A) and (C) are wrong, so (B)",
                    "The answer is not B.",
                    "B is incorrect",
                    "A B C D",
                    "either A or B",
                    "The answer is A. Not B.",
                    "\\boxed{A} or \\boxed{B}",
                    "B/C",
                    "ABCD",
                ],
            ),
            case("A", &["A", "A is correct", "A) 12", "Option A"], &["A good day", "I think so"]),
            case("1", &["1", "Option 1", "1) the sun"], &["The answer is 12", "2"]),
        ],
    );
}
