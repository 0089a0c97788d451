//! `loss`: every loss by name against golden numbers, hyper-parameters in the row, bad input.
#![expect(clippy::unreadable_literal, reason = "golden numbers, as they were printed")]

mod support;

use serde_json::json;
use support::{close, fed, has_keys, words};

/// A pair whose losses were computed in 60-digit arithmetic.
struct Case {
    row: &'static str,
    beta: f64,
    lambda: f64,
    simpo_beta: f64,
    simpo_gamma: f64,
    orpo_lambda: f64,
    /// Loss, gradient by the chosen and by the rejected log-probability.
    results: [(&'static str, [f64; 3]); 11],
}

const CASES: [Case; 3] = [
    Case {
        row: r#""logp_w":-20.001,"logp_l":-25.5,"ref_w":-20.0,"ref_l":-25.0,"len_w":10,"len_l":12,"label_smoothing":0.1,"kto_z0":0.0"#,
        beta: 0.3,
        lambda: 50.0,
        simpo_beta: 2.5,
        simpo_gamma: 1.0,
        orpo_lambda: 0.1,
        results: [
            ("dpo", [0.6210958300229682, -0.13879342055854677, 0.13879342055854677]),
            ("dpop", [0.6280634792561129, -7.135550116959537, 0.13991274739136347]),
            ("ipo", [1.3634454444444475, -2.335333333333336, 2.335333333333336]),
            ("ipo-avg", [2.6409500100000005, -0.32502000000000003, 0.27085000000000004]),
            ("hinge", [0.8503000000000004, -0.3, 0.3]),
            ("cdpo", [0.6360658300229681, -0.10879342055854675, 0.10879342055854675]),
            ("robust", [0.6023833300229682, -0.17629342055854677, 0.17629342055854677]),
            ("simpo", [1.0950174068507013, -0.16636655407042553, 0.13863879505868795]),
            ("orpo", [2.062515071616163, -0.10536943990108465, 0.004393795633729602]),
            ("kto-pair", [0.962645154655688, -0.07499999831250002, 0.0745797020032629]),
            ("dpop-cdpo", [0.6415334792561111, -5.605550116959537, 0.10991274739136347]),
        ],
    },
    Case {
        row: r#""logp_w":-1.76282,"logp_l":-107.904572,"ref_w":-6.423203,"ref_l":-94.897301,"len_w":9,"len_l":47,"label_smoothing":0.05,"kto_z0":2.0"#,
        beta: 0.01,
        lambda: 5.0,
        simpo_beta: 2.5,
        simpo_gamma: 0.5,
        orpo_lambda: 1.0,
        results: [
            ("dpo", [0.608705671322658, -0.004559454009831214, 0.004559454009831214]),
            ("dpop", [0.608705671322658, -0.004559454009831214, 0.004559454009831214]),
            ("ipo", [1045.380597863716, -64.664692, 64.664692]),
            ("ipo-avg", [2421.1742647104707, -10.934539826635145, 2.0938480519088576]),
            ("hinge", [0.82332346, -0.01, 0.01]),
            ("cdpo", [0.617539498322658, -0.004059454009831214, 0.004059454009831214]),
            ("robust", [0.5988903079893246, -0.005115009565386769, 0.005115009565386769]),
            ("simpo", [0.008615061291579738, -0.002382793885889107, 0.0004562796802766375]),
            ("orpo", [0.2198018875875862, -0.1258831658392822, 0.0005594956857310235]),
            ("kto-pair", [0.9559015138194774, -0.0024995576998182627, 0.00248597653218146]),
            ("dpop-cdpo", [0.617539498322658, -0.004059454009831214, 0.004059454009831214]),
        ],
    },
    Case {
        row: r#""logp_w":-20.680298,"logp_l":-10.961861,"ref_w":-17.784445,"ref_l":-10.652186,"len_w":32,"len_l":17,"label_smoothing":0.2,"kto_z0":0.0"#,
        beta: 1.0,
        lambda: 50.0,
        simpo_beta: 2.0,
        simpo_gamma: 0.0,
        orpo_lambda: 1.0,
        results: [
            ("dpo", [2.658784495433877, -0.929966704178932, 0.929966704178932]),
            ("dpop", [147.37882799999994, -51.0, 1.0]),
            ("ipo", [9.52449464768399, -6.172355999999997, 6.172355999999997]),
            ("ipo-avg", [0.3275035168369167, -0.03576745186121323, 0.06732696820934256]),
            ("hinge", [3.5861779999999985, -1.0, 1.0]),
            ("cdpo", [2.141548895433877, -0.7299667041789321, 0.7299667041789321]),
            ("robust", [3.52084382876721, -1.2633000375122656, 1.2633000375122656]),
            ("simpo", [0.6945921826280103, -0.031295123704851976, 0.058908468150309604]),
            ("orpo", [1.340925623959833, -0.06412561379885605, 0.06198210520984735]),
            ("kto-pair", [1.3708351244288164, -0.04961748608810434, 0.24410084906506052]),
            ("dpop-cdpo", [117.90306239999995, -40.800000000000004, 0.8]),
        ],
    },
];

impl Case {
    /// Beta, lambda and gamma of a loss.
    fn parameters(&self, loss: &str) -> (f64, f64, f64) {
        match loss {
            "simpo" => (self.simpo_beta, 0.0, self.simpo_gamma),
            "orpo" => (0.1, self.orpo_lambda, 0.0),
            _ => (self.beta, self.lambda, 0.0),
        }
    }
}

#[test]
fn every_loss_gives_its_golden_numbers() {
    for case in &CASES {
        for (loss, [value, chosen, rejected]) in case.results {
            let (beta, lambda, gamma) = case.parameters(loss);
            let flags = format!(
                "loss --loss {loss} --beta {beta} --lambda {lambda} --gamma {gamma} --json"
            );
            let answer = fed(words(&flags), &format!("{{{}}}", case.row)).json();
            has_keys(&answer, &["loss", "grad_chosen", "grad_rejected"]);
            close(&answer["loss"], value);
            close(&answer["grad_chosen"], chosen);
            close(&answer["grad_rejected"], rejected);
        }
    }
}

#[test]
fn a_rows_hyper_parameters_override_the_flags() {
    let row = |case: &Case| {
        let (beta, lambda, _) = case.parameters("dpop-cdpo");
        format!("{{{},\"beta\":{beta},\"lambda\":{lambda}}}", case.row)
    };
    let rows = CASES.iter().map(row).collect::<Vec<_>>().join("\n\n");
    let flags = "loss --loss dpop-cdpo --beta 7 --lambda 3 --label-smoothing 0.4 --json";
    let answers = fed(words(flags), &rows).lines();
    assert_eq!(answers.len(), CASES.len());
    for (answer, case) in answers.iter().zip(&CASES) {
        let (_, expected) = case.results[10];
        close(&answer["loss"], expected[0]);
        close(&answer["grad_chosen"], expected[1]);
    }
    let simpo = &CASES[0];
    let row = format!("{{{},\"beta\":2.5,\"gamma\":1.0}}", simpo.row);
    let answer = fed(words("loss --loss simpo --gamma 0.2 --json"), &row).json();
    close(&answer["loss"], simpo.results[7].1[0]);
}

#[test]
fn the_kink_of_dpop_has_no_penalty_gradient() {
    let row = json!({"logp_w": -20.0, "logp_l": -25.0, "ref_w": -20.0, "ref_l": -25.0});
    let answer = fed(words("loss --loss dpop --beta 0.1 --json"), &row.to_string()).json();
    close(&answer["grad_chosen"], -0.05);
    close(&answer["grad_rejected"], 0.05);
}

#[test]
fn without_json_a_line_is_a_sentence() {
    let row = r#"{"logp_w":-20,"logp_l":-25,"ref_w":-20,"ref_l":-25}"#;
    let done = fed(words("loss --loss dpo --beta 0.1"), row);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.starts_with("loss 0.693147180559945"), "{}", done.stdout);
}

#[test]
fn an_unknown_loss_is_named_with_the_nearest() {
    let done = fed(words("loss --loss dppo"), "");
    done.refuses(2, &["no preference loss is called `dppo`", "did you mean `dpop`", "kto-pair"]);
}

#[test]
fn hyper_parameters_out_of_range_are_wrong_usage() {
    fed(words("loss --loss dpo --beta 0"), "").refuses(2, &["beta must be", "above 0, got 0"]);
    fed(words("loss --loss dpo --beta -0.1"), "").refuses(2, &["above 0, got -0.1"]);
    fed(words("loss --loss dpop --lambda NaN"), "").refuses(2, &["lambda must be", "got NaN"]);
    fed(words("loss --loss robust --label-smoothing 0.5"), "")
        .refuses(2, &["label_smoothing", "below 0.5, got 0.5"]);
}

#[test]
fn bad_rows_name_line_and_field() {
    let dpo = || words("loss --loss dpo --json");
    let good = r#"{"logp_w":-1,"logp_l":-2,"ref_w":-1,"ref_l":-2}"#;
    let second = |row: &str| fed(dpo(), &format!("{good}\n{row}\n"));
    let parts = |row: &str, parts: &[&str]| {
        let done = second(row);
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert_eq!(done.stdout.lines().count(), 1, "the good row is answered");
        for part in parts.iter().chain(&["stdin, line 2"]) {
            assert!(done.stderr.contains(part), "{part} is not in {}", done.stderr);
        }
    };
    parts(r#"{"logp_w":-1,"ref_w":-1,"ref_l":-2}"#, &["logp_l", "expected"]);
    parts(r#"{"logp_w":-1,"logp_l":-2}"#, &["`ref_w` is missing", "reference"]);
    parts(r#"{"logp_w":"x","logp_l":-2}"#, &["expected", "found"]);
    parts(r#"{"logp_w":1e999,"logp_l":-2,"ref_w":-1,"ref_l":-2}"#, &["number out of range"]);
    parts(r#"{"logp_w":-1,"logp_l":-2,"ref_w":-1,"ref_l":-2,"beta":-1}"#, &["beta", "got -1"]);
    parts("no json", &["expected", "found `no json`"]);
    let extra = r#"{"logp_w":-1,"logp_l":-2,"ref_w":-1,"ref_l":-2,"lenw":3}"#;
    parts(extra, &["`lenw` is no field of a row"]);
    let typo = r#"{"logp_w":-1,"logp_l":-2,"ref_w":-1,"ref_l":-2,"betta":3,"beta":0.1}"#;
    parts(typo, &["`betta` is no field of a row"]);
}

#[test]
fn averaging_losses_need_lengths() {
    let row = r#"{"logp_w":-1,"logp_l":-2,"ref_w":-1,"ref_l":-2}"#;
    for loss in ["ipo-avg", "simpo", "orpo"] {
        fed(words(&format!("loss --loss {loss} --json")), row)
            .refuses(1, &["stdin, line 1", "give the number of completion tokens"]);
    }
}

/// Log-ratios 0.75 and -1.25; the numbers by 40-digit arithmetic.
#[test]
fn divergences_and_likelihoods_by_flag_and_by_row() {
    let row = r#""logp_w":-19.25,"logp_l":-26.25,"ref_w":-20.0,"ref_l":-25.0,"len_w":7"#;
    let forward = "loss --loss dpo --beta 0.5 --divergence forward-kl --json";
    let answer = fed(words(forward), &format!("{{{row}}}")).json();
    close(&answer["loss"], 0.19977961360436247);
    close(&answer["grad_rejected"], 0.3160309912826944);
    let alpha = format!("{{{row},\"divergence\":\"alpha\",\"divergence_alpha\":0.3}}");
    let answer = fed(words(forward), &alpha).json();
    close(&answer["loss"], 0.2888057018748787);
    let mixed = format!("{forward} --sft-alpha 2");
    let answer = fed(words(&mixed), &format!("{{{row}}}")).json();
    close(&answer["loss"], 0.19977961360436247 + 2.0 * 19.25 / 7.0);

    let refused = |flags: &str, parts: &[&str]| fed(words(flags), "").refuses(2, parts);
    refused("loss --loss ipo --divergence forward-kl", &["ipo does not read divergence"]);
    refused("loss --loss orpo --sft-alpha 1", &["orpo does not read sft_alpha"]);
    refused("loss --loss dpo --divergence kl", &["`kl` is not known", "reverse-kl"]);
    refused("loss --loss dpo --divergence alpha --divergence-alpha 1", &["below 1, got 1"]);
    refused("loss --loss dpo --desirable-weight 2", &["dpo does not read --desirable-weight"]);
}

#[test]
fn kto_judges_single_labelled_answers() {
    let kto = |flags: &str, row: &str| fed(words(&format!("loss --loss kto --json {flags}")), row);
    let good = r#"{"logp":-17.5,"ref":-20,"label":true,"kl_log_ratios":[2.0,-0.5]}"#;
    let answer = kto("--beta 0.2 --desirable-weight 1.5", good).json();
    has_keys(&answer, &["loss", "grad", "reward"]);
    close(&answer["loss"], 0.6200736316240049);
    close(&answer["grad"], -0.07274921850675004);
    close(&answer["reward"], 0.5);
    let bad = r#"{"logp":-21.25,"ref":-20,"label":false,"beta":0.2,"undesirable_weight":0.5}"#;
    let answer = kto("--kto-z0 0.75", bad).json();
    close(&answer["loss"], 0.200656169943774);
    close(&answer["grad"], 0.024026074574152914);

    kto("", bad).refuses(1, &["stdin, line 1", "`kto_z0` is missing"]);
    let twice = r#"{"logp":-1,"ref":-2,"label":true,"kto_z0":0,"kl_log_ratios":[1]}"#;
    kto("", twice).refuses(1, &["both give the reference point"]);
    let unknown = r#"{"logp":-1,"ref":-2,"label":true,"kto_z0":0,"len":3}"#;
    kto("", unknown).refuses(1, &["stdin, line 1", "unknown field `len`"]);
    kto("--lambda 3", "").refuses(2, &["kto does not read --lambda"]);
    kto("--undesirable-weight -1", "").refuses(2, &["undesirable_weight", "got -1"]);
}
