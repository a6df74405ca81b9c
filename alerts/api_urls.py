"""REST addresses of this room."""

from django.urls import path

from alerts import (
    absenceapi,
    api,
    conditionapi,
    dialectapi,
    healthapi,
    noiseapi,
    replayapi,
    settingapi,
    webhookapi,
    windowapi,
)

urlpatterns = [
    path("events", api.Events.as_view(), name="api-events"),
    path("events/<uuid:pk>", api.OneEvent.as_view(), name="api-event"),
    path("compat/pagerduty/v2/enqueue", dialectapi.PagerDuty.as_view(), name="api-compat-pagerduty"),
    path("compat/alertmanager", dialectapi.Alertmanager.as_view(), name="api-compat-alertmanager"),
    path("health", healthapi.HealthDoor.as_view(), name="api-health"),
    path("notifications", noiseapi.Notifications.as_view(), name="api-notifications"),
    path("notifications/test", noiseapi.TestRules.as_view(), name="api-notification-test"),
    path("notifications/<uuid:pk>", noiseapi.OneNotification.as_view(), name="api-notification"),
    path("notifications/<uuid:pk>/move", noiseapi.MoveNotification.as_view(), name="api-notification-move"),
    path(
        "notifications/<uuid:pk>/versions",
        noiseapi.NotificationVersions.as_view(),
        name="api-notification-versions",
    ),
    path("drop-filters", noiseapi.DropFilters.as_view(), name="api-drop-filters"),
    path("drop-filters/<uuid:pk>", noiseapi.OneDropFilter.as_view(), name="api-drop-filter"),
    path("replays", replayapi.Replays.as_view(), name="api-replays"),
    path("replays/<uuid:pk>", replayapi.OneReplay.as_view(), name="api-replay"),
    path("rule-drafts", replayapi.RuleDrafts.as_view(), name="api-rule-drafts"),
    path("rule-drafts/<uuid:pk>", replayapi.OneRuleDraft.as_view(), name="api-rule-draft"),
    path("maintenance-windows", windowapi.Windows.as_view(), name="api-windows"),
    path("maintenance-windows/<uuid:pk>", windowapi.OneWindow.as_view(), name="api-window"),
    path("maintenance-windows/<uuid:pk>/end", windowapi.EndWindow.as_view(), name="api-window-end"),
    path("maintenance-windows/<uuid:pk>/extend", windowapi.ExtendWindow.as_view(), name="api-window-extend"),
    path("noise-settings", windowapi.Noise.as_view(), name="api-noise-settings"),
    path("expectations", absenceapi.Expectations.as_view(), name="api-expectations"),
    path("expectations/<uuid:pk>", absenceapi.OneExpectation.as_view(), name="api-expectation"),
    path("expectations/<uuid:pk>/learn", absenceapi.LearnExpectation.as_view(), name="api-expectation-learn"),
    path("held", windowapi.Held.as_view(), name="api-held"),
    path("ticket-settings", settingapi.Levels.as_view(), name="api-ticket-settings"),
    path("ticket-settings/<uuid:pk>", settingapi.OneLevel.as_view(), name="api-ticket-settings-of"),
    path(
        "ticket-settings/<uuid:pk>/history", settingapi.History.as_view(), name="api-ticket-settings-history"
    ),
    path("ticket-settings/<uuid:pk>/undo", settingapi.Undo.as_view(), name="api-ticket-settings-undo"),
    path("clients/<uuid:pk>/disabled", settingapi.Disabled.as_view(), name="api-client-disabled"),
    path("webhooks", webhookapi.Webhooks.as_view(), name="api-webhooks"),
    path("webhooks/<uuid:pk>", webhookapi.OneWebhook.as_view(), name="api-webhook"),
    path("webhooks/<uuid:pk>/secret", webhookapi.WebhookSecret.as_view(), name="api-webhook-secret"),
    path(
        "webhooks/<uuid:pk>/deliveries", webhookapi.WebhookDeliveries.as_view(), name="api-webhook-deliveries"
    ),
    path("webhooks/<uuid:pk>/redeliver", webhookapi.Redeliver.as_view(), name="api-webhook-redeliver"),
    path("mail-settings", webhookapi.MailSettingsDoor.as_view(), name="api-mail-settings"),
    path("conditions", conditionapi.Conditions.as_view(), name="api-conditions"),
    path("conditions/<uuid:pk>", conditionapi.OneCondition.as_view(), name="api-condition"),
    path("tickets", conditionapi.Tickets.as_view(), name="api-tickets"),
    path("tickets/<uuid:pk>", conditionapi.OneTicket.as_view(), name="api-ticket"),
    path("outages", conditionapi.Outages.as_view(), name="api-outages"),
    path("event-types", conditionapi.EventTypes.as_view(), name="api-event-types"),
]
