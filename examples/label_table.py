"""Label a video and print a table: python label_table.py talk.mp4 "dog barking" rain "people talking" """

import sys

import percept


def main(video: str, words: list[str]) -> None:
    names = [word.partition("|")[0] for word in words]  # of synonyms, "car|automobile", results have the first
    print("time    " + "".join(f"{name:>16}" for name in names))
    for result in percept.run(video, labels=words, top_k=len(words)):
        if result.labels is None:
            print(f"{result.start_s:6.1f}  {result.error or 'nothing to label'}")
            continue
        by_word = {label.label: label.probability for label in result.labels}
        print(f"{result.start_s:6.1f}  " + "".join(f"{by_word[name]:16.0%}" for name in names))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
