"""Embed a store on a Spark cluster, by the function that `embed_store` calls for each part.

    pip install pyspark
    python examples/cohort_on_spark.py STORE OUT

Started again, it goes on where it stopped. Spark gives a task whose executor died to another one.
"""

import sys

from pyspark.sql import SparkSession

from wearembed import RelConEncoder, embedding, read_embeddings


def main(store, out):
    encoder = RelConEncoder.from_pretrained("wearembed/relcon-synthetic")
    parts = embedding.unfinished_parts(store, encoder, out)
    if parts:
        context = SparkSession.builder.getOrCreate().sparkContext
        sent = context.broadcast(encoder)  # once to each executor
        tasks = context.parallelize(parts, len(parts))
        tasks.map(lambda part: str(embedding.embed_part(part, sent.value))).collect()
    return read_embeddings(out)


if __name__ == "__main__":
    print(main(*sys.argv[1:]).shape)
