#!/bin/sh
# Train every mapper that docs/RESULTS.md compares, into runs/; what was stopped goes on. Options,
# such as --device cuda, are passed on to each training.
set -eu
recipe=$(dirname "$0")

train() { # RUN OPTIONS...
    run=$1
    shift
    if [ -e "$run" ]; then set -- "$@" --resume; fi
    cfclip train --out "$run" "$@"
}

train runs/validation --texts "$recipe/validation_prompts.txt" --steps 4000 "$@"
train runs/all --texts "$recipe/test_prompts.txt" --steps 12000 "$@"

for text in "green hair" "red skin" "purple eyebrows" "blue lips"; do
    name=$(echo "$text" | tr ' ' -)
    train "runs/single/$name" --text "$text" --steps 1000 "$@"
    train "runs/latent/$name" --text "$text" --steps 1000 --mapper latent "$@"
done
for text in "green hair" "red skin" "purple eyebrows" "blue lips" \
    "turquoise hair" "grey skin" "turquoise eyebrows" "yellow lips"; do
    name=$(echo "$text" | tr ' ' -)
    for preset in styleclip-mapper directional-mapper; do
        train "runs/$preset/$name" --text "$text" --preset $preset --identity 0 \
            --steps 1000 --batch 4 "$@"
    done
done

ablation() { # NAME OPTIONS...
    name=$1
    shift
    train "runs/ablation/$name" --texts "$recipe/ablation_prompts.txt" --steps 1500 "$@"
}

ablation plain "$@"
ablation directional --objective directional --clip-weight 10 "$@"
ablation without-positive-2 --positives direction "$@"
ablation without-negatives --negatives none "$@"
ablation released-negatives --negatives released "$@"
ablation without-augmentation --augmentations 1 --distortion 0 "$@"
ablation legacy-pixel-norm --legacy-pixel-norm "$@"
