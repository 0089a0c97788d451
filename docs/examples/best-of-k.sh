#!/usr/bin/env bash
# Best of k on a real model: SmolLM2-135M-Instruct by LoRA on sums that it seldom solves. Two seeds of
# k = 1, k = 8 and 8 then 1, each judged on held-out sums with 32 completions, and the model as it was.
# About two hours on two cores. Started again, it goes on where it was.
#
#   cargo xtask fetch smollm2-135m-instruct
#   docs/examples/best-of-k.sh runs/best-of-k
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=${1:-runs/best-of-k}
model=${MODEL:-models/smollm2-135m-instruct}
bestof=${BESTOF:-cargo xtask}
prompts=8 generations=16 steps=40
mkdir -p "$dir"

puzzles() { [ -s "$1" ] || $bestof -q puzzles build --task chain-sum --level 2 --out "$@"; }

judge() { # NAME SEED [MODEL OPTIONS]
  local name=$1 seed=$2
  shift 2
  [ -s "$dir/$name.json" ] && return
  $bestof -q evaluate pass-at-k --data "$dir/held-out.jsonl" --samples 32 --chat --max-new-tokens 32 \
    --seed "$seed" --samples-out "$dir/$name.samples.jsonl" --json "$@" > "$dir/$name.part"
  mv "$dir/$name.part" "$dir/$name.json"
}

puzzles "$dir/held-out.jsonl" --held-out --count 64
for seed in 0 1; do
  # Every prompt is used once.
  puzzles "$dir/train-$seed.jsonl" --count $((prompts * steps)) --seed "$seed"
  judge "frozen-$seed" "$seed" --model "$model"
  for arm in k1 k8 annealed; do
    case $arm in
      k1) objective=(--set objective.k=1) ;;
      k8) objective=(--set objective.k=8) ;;
      annealed) objective=(--set "objective.k_schedule={ kind = \"step\", from = 8, to = 1, at = $((steps / 2)) }") ;;
    esac
    run=$dir/$arm-$seed
    [ -e "$run/train_results.json" ] || $bestof -q reinforce --config docs/examples/best-of-k.toml --resume \
      --set model.path="$model" --set data.train="$dir/train-$seed.jsonl" --set output.dir="$run" \
      --set train.seed="$seed" --set train.max_steps="$steps" \
      --set train.per_device_train_batch_size="$prompts" \
      --set rollout.num_generations="$generations" "${objective[@]}"
    judge "$arm-$seed" "$seed" --model "$run/final"
  done
done
