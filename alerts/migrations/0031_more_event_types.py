"""More of the catalogue, where the vendor's staff has not made its own; which episode open tickets are of."""

from django.db import migrations
from django.db.models import OuterRef, Subquery

from alerts.catalogue import EACH_ITS_OWN, EVENT_TYPES


def store(apps, schema_editor):
    event_type = apps.get_model("alerts", "EventType")
    for seed in EVENT_TYPES:
        event_type.objects.get_or_create(name=seed.name, defaults=seed._asdict())
    ticket, condition = apps.get_model("alerts", "Ticket"), apps.get_model("alerts", "Condition")
    episodes = condition.objects.filter(pk=OuterRef("condition")).values("episode")[:1]
    ticket.objects.filter(episode=0, closed_at=None).update(episode=Subquery(episodes))
    event_type.objects.filter(name__in=EACH_ITS_OWN).update(each_is_its_own=True)


class Migration(migrations.Migration):
    dependencies = [("alerts", "0030_life_of_a_ticket")]
    operations = [migrations.RunPython(store, migrations.RunPython.noop)]
