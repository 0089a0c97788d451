//! Templates whose values hold others many times over: none makes the process grow far beyond what it may.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use bestof_checkpoints::{ChatTemplate, Message, SpecialTokens};

/// What a rendering may take: its limits on values and texts, a few times over.
const MOST_KIB: u64 = 1 << 20;

/// The most memory that the process has had since the last reading, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak = line.trim().trim_end_matches(" kB").parse().unwrap();
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    peak
}

#[test]
fn values_that_repeat_others_are_refused_before_they_are_text() {
    let nest = |open: &str, close: &str| {
        let levels = 40;
        format!("{}{{{{ x ~ '' }}}}{}", open.repeat(levels), close.repeat(levels))
    };
    let sources = [
        "{{ [[1] * 9999] * 9999 ~ '' }}".to_owned(),
        "{{ ([[1] * 9999] * 9999)|upper }}".to_owned(),
        "{{ 'a'|replace([[1] * 9999] * 9999, '') }}".to_owned(),
        "{{ 'a' in ([['a' * 999] * 9999] * 9999) ~ '' }}".to_owned(),
        "{{ dict(a=9999 * [9999 * ['a' * 999]])|string }}".to_owned(),
        "{% macro f(x, n) %}{% if n %}{{ f([x, x], n - 1) }}{% else %}{{ x ~ '' }}{% endif %}{% endmacro %}{{ f(1, 40) }}".to_owned(),
        "{% macro f(n, x=[1]) %}{% if n %}{{ f(n - 1, x=[x, x]) }}{% else %}{{ x|upper }}{% endif %}{% endmacro %}{{ f(40) }}".to_owned(),
        "{% macro f(x, n) %}{% if n %}{% call(y) f([x, x], n - 1) %}{{ y }}{% endcall %}{% else %}{{ caller([x, x]) ~ '' }}{% endif %}{% endmacro %}{{ f(1, 40) }}".to_owned(),
        "{% for x in [[1, 40]] recursive %}{% if x[1] %}{{ loop([[[x[0], x[0]], x[1] - 1]]) }}{% else %}{{ x ~ '' }}{% endif %}{% endfor %}".to_owned(),
        nest("{% for x in [[x, x]] %}", "{% endfor %}"),
        nest("{% with x = [x, x] %}", "{% endwith %}"),
        nest("{% set x = [x, x] %}", ""),
        "{{ [1]|batch(99999999, 0)|list }}".to_owned(),
        "{{ [1]|slice(99999999, 0)|list }}".to_owned(),
        "{{ 9 ** 99999999 }}".to_owned(),
        "{{ (9 ** 9999) ** 9999 }}".to_owned(),
        "{{ (range(99999)|list * 999)|sort }}".to_owned(),
    ];
    for source in sources {
        let before = peak();
        let template = ChatTemplate::new(&source, &SpecialTokens::default()).unwrap();
        let rendered = template.render(&[Message::new("user", "Hi")], false);
        let grown = peak().saturating_sub(before);
        let outcome =
            rendered.map_or_else(|error| error.to_string(), |text| format!("{} bytes", text.len()));
        println!("{grown:>9} KiB  {source}: {outcome}");
        assert!(grown < MOST_KIB, "{source}: {grown} KiB: {outcome}");
    }
}
