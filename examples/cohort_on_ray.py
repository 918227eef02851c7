"""Embed a store on a Ray cluster, by the function that `embed_store` calls for each part.

    pip install "ray[data]"
    python examples/cohort_on_ray.py STORE OUT

Started again, it goes on where it stopped. Ray gives a task whose worker died to another one.
"""

import sys

import ray

from wearembed import RelConEncoder, embedding, read_embeddings


def main(store, out):
    encoder = RelConEncoder.from_pretrained("wearembed/relcon-synthetic")
    parts = embedding.unfinished_parts(store, encoder, out)
    if parts:
        sent = ray.put(encoder)  # once to each node

        def embed(row):
            return {"file": str(embedding.embed_part(row["item"], ray.get(sent)))}

        ray.data.from_items(parts, override_num_blocks=len(parts)).map(embed).materialize()
    return read_embeddings(out)


if __name__ == "__main__":
    print(main(*sys.argv[1:]).shape)
