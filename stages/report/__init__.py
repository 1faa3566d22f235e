"""From the cells' results to tables, captions, appendix, figures and studies. Imports neither torch nor mlflow."""
