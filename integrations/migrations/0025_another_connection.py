from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0024_events_without_client"),
    ]

    operations = [
        migrations.AddField(
            model_name="credentials",
            name="standing",
            field=models.CharField(
                choices=[("current", "In effect"), ("draft", "Being prepared"), ("former", "Replaced")],
                db_default="current",
                default="current",
                editable=False,
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="credentials",
            name="replaced_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="credentials",
            name="left_empty",
            field=models.JSONField(editable=False, null=True),
        ),
        migrations.RemoveConstraint(model_name="credentials", name="one_credentials_per_organization"),
        migrations.RemoveConstraint(model_name="credentials", name="one_credentials_per_client"),
        migrations.AddConstraint(
            model_name="credentials",
            constraint=models.UniqueConstraint(
                condition=~models.Q(("standing", "former")),
                fields=("organization", "standing"),
                name="one_credentials_per_organization",
            ),
        ),
        migrations.AddConstraint(
            model_name="credentials",
            constraint=models.UniqueConstraint(
                condition=~models.Q(("standing", "former")),
                fields=("client", "standing"),
                name="one_credentials_per_client",
            ),
        ),
    ]
