"""The service catalogue."""

from django.db import migrations

from billing.catalogue import SERVICES


def store(apps, schema_editor):
    service = apps.get_model("billing", "Service")
    for seed in SERVICES:
        service.objects.update_or_create(key=seed.key, defaults=seed._asdict())


class Migration(migrations.Migration):
    dependencies = [("billing", "0003_initial")]
    operations = [migrations.RunPython(store, migrations.RunPython.noop)]
