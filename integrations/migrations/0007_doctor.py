from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("integrations", "0006_choices")]

    operations = [
        migrations.AddField(
            model_name="credentials",
            name="also_used",
            field=models.JSONField(default=list, editable=False),
        ),
    ]
