"""The catalogue of event types."""

from django.db import migrations

from alerts.catalogue import EVENT_TYPES


def store(apps, schema_editor):
    event_type = apps.get_model("alerts", "EventType")
    for seed in EVENT_TYPES:
        event_type.objects.update_or_create(name=seed.name, defaults=seed._asdict())


class Migration(migrations.Migration):
    dependencies = [("alerts", "0002_initial")]
    operations = [migrations.RunPython(store, migrations.RunPython.noop)]
