"""Which class is an image of? A trained network from this repository, in three lines.

    python -m examples.predict_image picture.png --cell cifar10/vgg16-adam --budget paper

MNIST's digits are white on black; a photograph of ink on paper must be inverted first.
"""

from pathlib import Path

import click
from PIL import Image


@click.command()
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--cell", default="cifar10/vgg16-adam", show_default=True, help="data set and cell")
@click.option("--budget", help="one of params.yaml's budgets; by default the one chosen there")
def main(picture: Path, cell: str, budget: str | None) -> None:
    """Print the three likeliest classes of a picture."""
    from stages.pretrained import load

    network = load(cell, budget)
    for name, share in list(network.probabilities(Image.open(picture)).items())[:3]:
        click.echo(f"{100 * share:5.1f} %  {name}")


if __name__ == "__main__":
    main()
