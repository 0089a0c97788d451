//! Decoding with a cache against attention over whole sequences.

use bestof_closeness::assert_close;
use burn::tensor::{Device, Tensor};
use proptest::prelude::*;

use crate::cached::{Cached, PromptKeys};
use crate::decode_cache::DecodeCache;
use crate::host::host_values;
use crate::mask::first_key;
use crate::plain_attention;
use crate::plain_decoding::TensorCache;
use crate::shape::{AttentionBlock, AttentionShape};
use crate::tests::random;

/// What one sequence is made of: a prompt by number and its own tokens, each with keys and values.
struct Sequence {
    id: u64,
    prompt: usize,
    k: Vec<Tensor<3>>,
    v: Vec<Tensor<3>>,
}

/// A run of decoding in which sequences come and go.
struct Run {
    shape: AttentionShape,
    window: Option<usize>,
    prompts: Vec<(Tensor<3>, Tensor<3>)>,
    sequences: Vec<Sequence>,
    seed: u64,
}

impl Run {
    fn new(shape: AttentionShape, window: Option<usize>, lengths: &[usize], seed: u64) -> Self {
        let prompts = lengths.iter().zip(1_u64..).map(|(&length, number)| {
            // Room behind the prompt holds what nobody is to see.
            let size = [length + 3, shape.kv_heads, shape.head_dim];
            (random(size, seed + 7 * number), random(size, seed + 11 * number))
        });
        Self { shape, window, prompts: prompts.collect(), sequences: Vec::new(), seed }
    }

    fn filled(&self, prompt: usize) -> usize {
        self.prompts[prompt].0.dims()[0] - 3
    }

    fn runs(&self) -> Vec<PromptKeys<'_>> {
        let mut runs: Vec<(usize, PromptKeys<'_>)> = Vec::new();
        for (place, sequence) in self.sequences.iter().enumerate() {
            match runs.last_mut() {
                Some((prompt, keys)) if *prompt == sequence.prompt => keys.members.end = place + 1,
                _ => {
                    let (k, v) = &self.prompts[sequence.prompt];
                    let filled = self.filled(sequence.prompt);
                    let keys = PromptKeys { members: place..place + 1, k, v, filled };
                    runs.push((sequence.prompt, keys));
                }
            }
        }
        runs.into_iter().map(|(_, keys)| keys).collect()
    }

    /// Queries, keys and values of the next token of every sequence, which do not depend on the others.
    fn next(&mut self) -> [Tensor<3>; 3] {
        let AttentionShape { kv_heads, group, head_dim, .. } = self.shape;
        let mut q = Vec::new();
        for sequence in &mut self.sequences {
            let seed = self.seed + 1000 * sequence.id + 10 * sequence.k.len() as u64;
            q.push(random([1, kv_heads * group, head_dim], seed));
            sequence.k.push(random([1, kv_heads, head_dim], seed + 1));
            sequence.v.push(random([1, kv_heads, head_dim], seed + 2));
        }
        let last = |part: fn(&Sequence) -> &Vec<Tensor<3>>| {
            let rows = self.sequences.iter().filter_map(|s| part(s).last().cloned());
            Tensor::cat(rows.collect(), 0)
        };
        [Tensor::cat(q, 0), last(|s| &s.k), last(|s| &s.v)]
    }

    /// Attention of the last token of a sequence over all that it sees, by another operation.
    fn expected(&self, place: usize, q: &Tensor<3>) -> Vec<f32> {
        let sequence = &self.sequences[place];
        let (k, v) = &self.prompts[sequence.prompt];
        let filled = self.filled(sequence.prompt);
        let whole = |prompt: &Tensor<3>, own: &[Tensor<3>]| {
            let mut parts = vec![prompt.clone().slice_dim(0, 0..filled)];
            parts.extend_from_slice(own);
            Tensor::cat(parts, 0)
        };
        let (k, v) = (whole(k, &sequence.k), whole(v, &sequence.v));
        let position = filled + sequence.k.len() - 1;
        let keys = first_key(position, self.window)..position + 1;
        let block = AttentionBlock { rows: 0..1, keys, mask: None };
        let q = q.clone().slice_dim(0, place..place + 1);
        host_values(plain_attention::attention(q, k, v, &[block], self.shape))
    }
}

/// Sequences of two prompts come at different times and leave in another order; what each takes is held
/// to attention over the whole, and on the CPU to what it takes alone.
fn check(shape: AttentionShape, window: Option<usize>, lengths: [usize; 2], seed: u64) {
    let like = Tensor::<2>::zeros([1, 1], &Device::flex());
    let mut run = Run::new(shape, window, &lengths, seed);
    let (mut host, mut tensors) = (DecodeCache::new(shape, &like), TensorCache::new(shape, &like));
    // Alone, the one with the id 1.
    let mut single = Run::new(shape, window, &lengths, seed);
    let mut alone = DecodeCache::new(shape, &like);
    let comings: [(usize, &[(u64, usize)]); 4] = [
        (0, &[(0, 0), (1, 0), (2, 1)]),
        (2, &[(3, 1)]),
        (5, &[(4, 0), (5, 0), (6, 0)]),
        (40, &[(7, 1)]),
    ];
    let leavings: [(usize, u64); 4] = [(1, 2), (3, 0), (6, 5), (41, 3)];
    for step in 0..43 {
        for (_, new) in comings.iter().filter(|(at, _)| *at == step) {
            for &(id, prompt) in *new {
                let sequence = || Sequence { id, prompt, k: Vec::new(), v: Vec::new() };
                run.sequences.push(sequence());
                if id == 1 {
                    single.sequences.push(sequence());
                    alone.add(1);
                }
            }
            host.add(new.len());
            tensors.add(new.len());
        }
        let [q, k, v] = run.next();
        let found = host.attend(q.clone(), k.clone(), v.clone(), &run.runs(), window);
        let plain = tensors.attend([q.clone(), k, v], &run.runs(), window);
        let width = shape.kv_heads * shape.group * shape.head_dim;
        let (found, plain) = (host_values(found), host_values(plain));
        for place in 0..run.sequences.len() {
            let expected = run.expected(place, &q);
            for rows in [&found, &plain] {
                assert_close(&rows[place * width..][..width], &expected, 2e-5);
            }
        }
        let [q, k, v] = single.next();
        let by_itself = host_values(alone.attend(q, k, v, &single.runs(), window));
        let place = run.sequences.iter().position(|s| s.id == 1).expect("it stays to the end");
        assert_eq!(by_itself, found[place * width..][..width], "others change nothing");
        for (_, id) in leavings.iter().filter(|(at, _)| *at == step) {
            let kept: Vec<u32> = (0..run.sequences.len() as u32)
                .filter(|&place| run.sequences[place as usize].id != *id)
                .collect();
            run.sequences.retain(|sequence| sequence.id != *id);
            host.keep(&kept);
            tensors.keep(&kept);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn cached_tokens_count_as_in_attention_over_the_whole(
        (kv_heads, group) in (1_usize..4, 1_usize..5),
        head_dim in prop::sample::select(vec![2_usize, 6, 16, 24, 64, 80]),
        window in prop::option::of(1_usize..30),
        lengths in (1_usize..9, 1_usize..40),
        capped in any::<bool>(),
        seed in 0_u64..1 << 40,
    ) {
        let softcap = capped.then_some(3.0);
        let shape = AttentionShape { kv_heads, group, head_dim, softcap };
        check(shape, window, [lengths.0, lengths.1], seed);
    }
}

#[test]
fn other_keys_take_the_place_of_those_there() {
    let shape = AttentionShape { kv_heads: 2, group: 2, head_dim: 8, softcap: None };
    let like = Tensor::<2>::zeros([1, 1], &Device::flex());
    let (mut host, mut tensors) = (DecodeCache::new(shape, &like), TensorCache::new(shape, &like));
    let mut run = Run::new(shape, None, &[4], 3);
    for id in 0..2 {
        run.sequences.push(Sequence { id, prompt: 0, k: Vec::new(), v: Vec::new() });
    }
    host.add(2);
    tensors.add(2);
    for step in 0..3 {
        let [q, k, v] = run.next();
        let found = host_values(host.attend(q.clone(), k.clone(), v.clone(), &run.runs(), None));
        let plain = host_values(tensors.attend([q.clone(), k, v], &run.runs(), None));
        let expected = [run.expected(0, &q), run.expected(1, &q)].concat();
        for rows in [&found, &plain] {
            assert_close(rows, &expected, 1e-5);
        }
        let count = step + 1;
        let other = |seed| random::<3>([count, 2, 8], seed);
        let (k, v) = (other(70 + step as u64), other(80 + step as u64));
        host.replace(1, k.clone(), v.clone());
        tensors.replace(1, k.clone(), v.clone());
        let rows =
            |x: &Tensor<3>| (0..count).map(|at| x.clone().slice_dim(0, at..at + 1)).collect();
        (run.sequences[1].k, run.sequences[1].v) = (rows(&k), rows(&v));
    }
}
