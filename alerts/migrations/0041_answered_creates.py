from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0040_replay_lab"),
    ]

    operations = [
        migrations.AddField(
            model_name="ticket",
            name="was_answered",
            field=models.BooleanField(default=False, db_default=False),
        ),
    ]
