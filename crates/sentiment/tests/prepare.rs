//! From files to a prepared folder: generated reviews, damaged files, CSV.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use std::fs;
use std::path::{Path, PathBuf};

use bestof_sentiment::dataset::{Part, Prepared};
use bestof_sentiment::features::{Column, Feature, SplitRule};
use bestof_sentiment::generate::{GenerateOptions, generate};
use bestof_sentiment::prepare::{PreparationSummary, PrepareOptions, ReviewSource, prepare};
use bestof_sentiment::source::Reason;
use tempfile::TempDir;

fn generated(reviews: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    generate(&GenerateOptions::new(reviews), folder.path(), &mut |_| {}).unwrap();
    folder
}

fn options(folder: &Path) -> PrepareOptions {
    PrepareOptions::new(ReviewSource::Folder(folder.to_owned()))
}

fn run(options: &PrepareOptions, out: &Path) -> PreparationSummary {
    prepare(options, out, &mut |_| {}).unwrap()
}

fn file(folder: &TempDir, kind: &str) -> PathBuf {
    folder.path().join(format!("yelp_academic_dataset_{kind}.json"))
}

#[test]
fn every_restaurant_review_lands_in_one_part() {
    let (data, out) = (generated(2000), tempfile::tempdir().unwrap());
    let mut reports = Vec::new();
    let mut options = options(data.path());
    options.features.extend([
        Feature::Price,
        Feature::AccountAge,
        Feature::EliteYears,
        Feature::Fans,
    ]);
    let summary = prepare(&options, out.path(), &mut |p| reports.push(p.clone())).unwrap();
    assert_eq!(summary.kept + summary.elsewhere, 2000);
    assert_eq!(summary.unknown_users, Some(0));
    assert!(summary.negative_votes > 0 && summary.files_with_gaps().next().is_none());
    assert!(summary.sentiment_stars_correlation > 0.3);
    let stages: Vec<&str> = reports.iter().map(|p| p.stage).collect();
    for stage in ["businesses", "reviews", "users", "writing"] {
        assert!(stages.contains(&stage), "{stages:?}");
    }
    let last = reports.iter().rfind(|p| p.stage == "reviews").unwrap();
    assert_eq!(
        (last.done, last.total),
        (last.total, fs::metadata(file(&data, "review")).unwrap().len())
    );

    let prepared = Prepared::open(out.path()).unwrap();
    let parts = Part::ALL.map(|part| prepared.part(part).unwrap());
    assert_eq!(parts.iter().map(|p| p.len() as u64).sum::<u64>(), summary.kept);
    let mut lines: Vec<u64> = parts.iter().flat_map(|p| p.examples.iter().map(|e| e.row)).collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len() as u64, summary.kept);
    let width = prepared.features().width();
    assert!(
        parts
            .iter()
            .flat_map(|p| &p.examples)
            .all(|e| e.meta.len() == width && e.positive == (e.stars >= 4))
    );
    assert!(fs::read_to_string(out.path().join("summary.html")).unwrap().contains("Class balance"));
}

#[test]
fn scalers_and_vocabulary_see_training_rows_only() {
    let (data, out) = (generated(1500), tempfile::tempdir().unwrap());
    run(&options(data.path()), out.path());
    let prepared = Prepared::open(out.path()).unwrap();
    let train = prepared.part(Part::Train).unwrap();
    let spec = prepared.features();
    assert_eq!(spec.fitted_on, train.len() as u64);
    for (index, column) in spec.columns.iter().enumerate() {
        let values: Vec<f64> = train.examples.iter().map(|e| f64::from(e.meta[index])).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let square = values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64;
        match column {
            Column::Number { .. } => {
                assert!(
                    mean.abs() < 1e-4 && (square - 1.0).abs() < 1e-3,
                    "{} {mean} {square}",
                    column.name()
                );
            }
            Column::Category { .. } => {
                assert!(mean * values.len() as f64 >= 4.5, "{}", column.name());
            }
            Column::UnknownCategory => {}
        }
    }
    // "restaurants" is in every row and would say nothing.
    assert!(!spec.names().contains(&"category=restaurants".to_owned()), "{:?}", spec.names());
    assert!(spec.names().contains(&"category=thai".to_owned()));
    let sentiment: Vec<f64> = train.examples.iter().map(|e| f64::from(e.sentiment)).collect();
    assert!(sentiment.iter().sum::<f64>().abs() / (sentiment.len() as f64) < 1e-5);
}

#[test]
fn grouped_and_timed_splits_keep_their_promise() {
    let data = generated(1500);
    let out = tempfile::tempdir().unwrap();
    let mut options = options(data.path());
    options.split = SplitRule::Restaurant;
    let summary = run(&options, out.path());
    assert_eq!(summary.parts["test"].unseen_restaurants, summary.parts["test"].restaurants);
    assert!(summary.parts["test"].rows > 100);
    options.split = SplitRule::Review;
    let summary = run(&options, out.path());
    assert!(summary.parts["test"].unseen_restaurants < summary.parts["test"].restaurants / 2);
}

#[test]
fn samples_are_uniform_seeded_and_of_the_size_asked_for() {
    let data = generated(1500);
    let out = tempfile::tempdir().unwrap();
    let mut options = options(data.path());
    options.limit = Some(300);
    let summary = run(&options, out.path());
    assert_eq!(summary.kept, 300);
    assert!(summary.usable > 1000);
    let rows = |out: &TempDir| -> Vec<u64> {
        let test = Prepared::open(out.path()).unwrap().part(Part::Test).unwrap();
        test.examples.iter().map(|e| e.row).collect()
    };
    let first = rows(&out);
    run(&options, out.path());
    assert_eq!(rows(&out), first);
    assert!(*first.iter().max().unwrap() > 1000, "the sample reaches the end of the file");
    options.seed += 1;
    run(&options, out.path());
    assert_ne!(rows(&out), first);
}

#[test]
fn bad_rows_are_counted_and_listed_and_never_a_panic() {
    let (data, out) = (generated(400), tempfile::tempdir().unwrap());
    let path = file(&data, "review");
    let text = fs::read_to_string(&path).unwrap();
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let with = |key: &str, value: serde_json::Value| {
        let mut row = first.clone();
        row["review_id"] = key.into();
        row[key] = value;
        format!("{row}\n").into_bytes()
    };
    let mut bytes = text.into_bytes();
    for damaged in [
        b"{\"review_id\": \n".to_vec(),
        b"[1, 2]\n".to_vec(),
        b"{\"text\": \"\xff\xfe\"}\n".to_vec(),
        with("stars", 6.into()),
        with("stars", serde_json::json!(3.5)),
        with("text", "   ".into()),
        with("text", "long ".repeat(10_000).into()),
        with("business_id", "nowhere".into()),
        format!("{first}\n").into_bytes(),
        with("date", "soon".into()),
    ] {
        bytes.extend(damaged);
    }
    bytes.extend(with("user_id", "nobody".into()));
    fs::write(&path, bytes).unwrap();
    let summary = run(&options(data.path()), out.path());
    let left_out = &summary.left_out["yelp_academic_dataset_review.json"];
    let expected = [
        (Reason::Malformed, 2),
        (Reason::Encoding, 1),
        (Reason::Stars, 2),
        (Reason::EmptyText, 1),
        (Reason::TooLong, 1),
        (Reason::Duplicate, 1),
        (Reason::UnknownBusiness, 1),
    ];
    assert_eq!(left_out.counts, expected.into());
    assert_eq!(left_out.first.len(), 9);
    let unread = summary.notes.iter().find(|note| note.contains("soon"));
    assert!(unread.is_some_and(|note| note.contains("410")), "{:?}", summary.notes);
    assert_eq!(left_out.first[0].line, 401);
    assert_eq!((summary.unknown_users, &summary.unknown_user_lines[..]), (Some(1), &[411_u64][..]));
}

#[test]
fn missing_and_foreign_files_are_named() {
    let (data, out) = (generated(100), tempfile::tempdir().unwrap());
    let refused =
        |folder: &Path| prepare(&options(folder), out.path(), &mut |_| {}).unwrap_err().to_string();
    fs::rename(file(&data, "user"), data.path().join("people.json")).unwrap();
    let error = refused(data.path());
    assert!(error.contains("dataset_user.json") && error.contains("people.json"), "{error}");
    let mut without = options(data.path());
    without.skip_users = true;
    assert_eq!(run(&without, out.path()).unknown_users, None);

    let review = file(&data, "review");
    let utf16: Vec<u8> =
        fs::read_to_string(&review).unwrap().encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(&review, utf16).unwrap();
    let error = prepare(&without, out.path(), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("UTF-16") && error.contains("iconv"), "{error}");
    fs::write(&review, "").unwrap();
    let error = prepare(&without, out.path(), &mut |_| {}).unwrap_err().to_string();
    assert!(error.starts_with("0 rows"), "{error}");
    assert!(refused(&data.path().join("nowhere")).contains("nowhere"));
}

#[test]
fn a_csv_of_the_common_sample() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yelp.csv");
    let mut text =
        "business_id,date,review_id,stars,text,type,user_id,cool,useful,funny\n".to_owned();
    for i in 0..60 {
        let (stars, day) = (i % 5 + 1, i % 28 + 1);
        let fields = format!("b{},2012-03-{day:02},r{i},{stars}", i % 7);
        let votes = format!("review,u{},1,{},0", i % 9, i % 4);
        text.extend([&fields, ",\"Visit, it was fine\",", &votes, "\n"]);
    }
    text += "b1,2012-03-01,r1,5,Twice,review,u1,0,0,0\n";
    fs::write(&path, text).unwrap();
    let out = tempfile::tempdir().unwrap();
    let summary = run(&PrepareOptions::new(ReviewSource::Csv(path.clone())), out.path());
    assert_eq!((summary.kept, summary.restaurants), (60, 7));
    assert_eq!(summary.left_out["yelp.csv"].counts, [(Reason::Duplicate, 1)].into());
    assert_eq!(summary.unavailable, [Feature::Categories]);
    assert_eq!(
        Prepared::open(out.path()).unwrap().features().names(),
        ["useful", "funny", "cool", "date"]
    );

    fs::write(&path, "id,verdict,words\n1,5,Good\n").unwrap();
    let error = prepare(&PrepareOptions::new(ReviewSource::Csv(path)), out.path(), &mut |_| {})
        .unwrap_err();
    assert!(error.to_string().contains("id, verdict, words"), "{error}");
}

/// What a table gives, or why it is refused.
fn table(text: &str, city: Option<&str>) -> Result<PreparationSummary, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("y.csv");
    fs::write(&path, text).unwrap();
    let mut options = PrepareOptions::new(ReviewSource::Csv(path));
    options.city = city.map(str::to_owned);
    prepare(&options, &folder.path().join("out"), &mut |_| {}).map_err(|error| error.to_string())
}

#[test]
fn classes_us_dates_and_lines_under_carriage_returns() {
    let rows: String =
        (0..50).map(|i| format!("{},It was {i}\n", i % 5)).collect::<Vec<_>>().concat();
    let summary = table(&format!("label,text\n{rows}"), None).unwrap();
    assert_eq!(summary.kept, 50);
    let stars = |star: usize| summary.parts.values().map(|part| part.stars[star]).sum::<u64>();
    assert_eq!([0, 1, 2, 3, 4].map(stars), [10; 5]);
    assert!(summary.notes.iter().any(|note| note.contains("`label` holds 0 to 4")));

    let rows: String = (0..50)
        .map(|i| format!("{},It was {i},1/{}/2010\n", i % 5 + 1, i % 28 + 1))
        .collect::<Vec<_>>()
        .concat();
    let summary = table(&format!("stars,text,date\n{rows}"), None).unwrap();
    assert_eq!(summary.kept, 50);
    let notes = summary.notes.join("\n");
    assert!(
        notes.contains("50 of 50 reviews have a date") && notes.contains("\"1/1/2010\""),
        "{notes}"
    );
    assert!(summary.unavailable.contains(&Feature::Date));

    let text = format!("stars,text\n4,\"a\n\nb\"\nfive,c\n2,d\nsix,e\n{}", "5,f\n".repeat(40));
    let summary = table(&text.replace('\n', "\r\n"), None).unwrap();
    let lines: Vec<u64> = summary.left_out["y.csv"].first.iter().map(|row| row.line).collect();
    assert_eq!(lines, [5, 7]);
}

/// What a table with a column `part` gives, or why it is refused.
fn parts(text: &str, folder: &Path) -> Result<PreparationSummary, String> {
    let path = folder.join("folds.csv");
    fs::write(&path, text).unwrap();
    let mut options = PrepareOptions::new(ReviewSource::Csv(path));
    options.split = SplitRule::Part;
    prepare(&options, &folder.join("out"), &mut |_| {}).map_err(|error| error.to_string())
}

#[test]
fn a_given_split_of_two_classes_is_kept_row_by_row() {
    let folder = tempfile::tempdir().unwrap();
    let part = |i: usize| ["train", "test", "validation", "train"][i % 4];
    let row = |i: usize| format!("It was {i},{}, {} \n", i % 2, part(i));
    let rows = (0..40).map(row).collect::<String>();
    let summary = parts(&format!("text,label,part\n{rows}"), folder.path()).unwrap();
    let notes = summary.notes.join("\n");
    assert!(notes.contains("two classes") && !notes.contains("not used"), "{notes}");
    let prepared = Prepared::open(&folder.path().join("out")).unwrap();
    for kind in Part::ALL {
        let data = prepared.part(kind).unwrap();
        assert!(!data.has_stars());
        assert_eq!(data.len(), (0..40).filter(|&i| part(i) == kind.as_str()).count());
        for example in &data.examples {
            let number: usize = example.text.rsplit(' ').next().unwrap().parse().unwrap();
            assert_eq!((part(number), number % 2 == 1), (kind.as_str(), example.positive));
        }
        let about = &summary.parts[kind.as_str()];
        assert_eq!((about.stars, about.majority_stars), ([0; 5], None));
    }
    // Without the rule, the column is named and not used.
    let summary = table(&format!("text,label,part\n{rows}"), None).unwrap();
    assert!(summary.notes.iter().any(|note| note.contains("`part` is not used")));
}

#[test]
fn a_wrong_or_missing_part_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let good = "Good,1,train\nBad,0,test\nFine,1,validation\n";
    let error = parts(&format!("text,label,part\n{good}So so,0,dev\n"), folder.path()).unwrap_err();
    for piece in ["folds.csv", "line 5", "\"dev\"", "train, validation or test"] {
        assert!(error.contains(piece), "{error}");
    }
    let error = parts(&format!("text,label,part\n{good}So so,0,\n"), folder.path()).unwrap_err();
    assert!(error.contains("line 5") && error.contains("\"\""), "{error}");
    let error = parts("text,label\nGood,1\nBad,0\n", folder.path()).unwrap_err();
    assert!(error.contains("no column `part`"), "{error}");
    let error = parts("text,label,part\nGood,1,train\nBad,0,test\n", folder.path()).unwrap_err();
    assert!(error.contains("by part"), "{error}");
    let mut options = PrepareOptions::new(ReviewSource::Folder(folder.path().to_owned()));
    options.split = SplitRule::Part;
    let error = prepare(&options, &folder.path().join("out"), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("--csv"), "{error}");
}

#[test]
fn one_class_and_a_city_without_its_column_are_refused() {
    let error = table(&format!("stars,text\n{}", "5,Good\n".repeat(40)), None).unwrap_err();
    assert!(error.contains("all 40 reviews have 5 stars"), "{error}");
    let rows: String =
        (0..40).map(|i| format!("{},Good,Tampa\n", i % 2 + 4)).collect::<Vec<_>>().concat();
    let error = table(&format!("stars,text,town\n{rows}"), Some("Tampa")).unwrap_err();
    assert!(error.contains("no column `city`"), "{error}");
    let summary = table(&format!("stars,text,city\n{rows}5,Good,Akron\n"), Some("tampa")).unwrap();
    assert_eq!((summary.kept, summary.elsewhere), (40, 1));
}
