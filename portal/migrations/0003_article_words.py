"""The words of help articles, for those that are misspelt."""

from django.contrib.postgres.operations import CreateExtension
from django.db import migrations

# Words only: no numbers, addresses and compounds with a hyphen, which nobody corrects. They come in one order, so that
# two writers of new words do not wait for each other in a circle.
ADD = """
INSERT INTO article_words (workspace_id, word)
SELECT DISTINCT article.workspace_id, one.lexeme COLLATE "C" AS lexeme
FROM {articles} AS article CROSS JOIN LATERAL unnest(article.words) AS one
WHERE length(one.lexeme) BETWEEN 3 AND 40 AND one.lexeme !~ '[-0-9_@./:+~]'
ORDER BY 1, 2
ON CONFLICT DO NOTHING;
"""
KEEP = f"""
CREATE FUNCTION article_words_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {ADD.format(articles="(SELECT NEW.workspace_id, NEW.words)")}
    RETURN NULL;
END $$;
CREATE TRIGGER article_words_are_kept AFTER INSERT OR UPDATE OF words ON articles
    FOR EACH ROW WHEN (NEW.words IS NOT NULL) EXECUTE FUNCTION article_words_are_kept();
{ADD.format(articles="articles")}
"""
UNDO = "DROP TRIGGER article_words_are_kept ON articles; DROP FUNCTION article_words_are_kept();"


class Migration(migrations.Migration):
    dependencies = [("portal", "0002_portal")]

    operations = [
        CreateExtension("fuzzystrmatch"),
        migrations.RunSQL(KEEP, UNDO),
    ]
