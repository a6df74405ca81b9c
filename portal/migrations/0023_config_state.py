from django.db import migrations, models
import django.db.models.deletion
import portal.clock


class Migration(migrations.Migration):
    dependencies = [("portal", "0020_approve_mode")]

    operations = [
        migrations.CreateModel(
            name="ConfigState",
            fields=[
                ("id", models.UUIDField(default=portal.clock.new_id, editable=False, primary_key=True, serialize=False)),
                ("document", models.TextField(blank=True)),
                ("applied_at", models.DateTimeField(null=True)),
                ("applied_by", models.CharField(blank=True, max_length=300)),
                ("drift", models.JSONField(default=dict)),
                ("looked_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(default=portal.clock.now, editable=False)),
                ("partner", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="portal.partner")),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("partner",), name="one_config_state_per_partner")],
            },
        ),
    ]
