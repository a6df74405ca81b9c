"""Addresses of this room's pages."""

from django.urls import path

from alerts import (
    chartviews,
    guideviews,
    healthviews,
    noiseviews,
    replayviews,
    ruleviews,
    settingviews,
    staffviews,
    typeviews,
    views,
)

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("tickets", views.tickets, name="tickets"),
    path("conditions", views.conditions, name="conditions"),
    path("event-types", typeviews.event_types, name="event_types"),
    path("event-types/keys", typeviews.key_shapes, name="key_shapes"),
    path("partnership/notifications", views.notifications, name="notifications"),
    path("partnership/notifications/new", views.notification_new, name="notification_new"),
    path("partnership/notifications/preset", views.notification_preset, name="notification_preset"),
    path("partnership/notifications/<uuid:pk>", views.notification, name="notification"),
    path("partnership/notifications/<uuid:pk>/copy", views.notification_copy, name="notification_copy"),
    path("partnership/notifications/<uuid:pk>/switch", views.notification_switch, name="notification_switch"),
    path("partnership/notifications/<uuid:pk>/delete", views.notification_delete, name="notification_delete"),
    path("partnership/notifications/test", ruleviews.rule_test, name="rule_test"),
    path("partnership/notifications/<uuid:pk>/move", ruleviews.notification_move, name="notification_move"),
    path(
        "partnership/notifications/<uuid:pk>/versions",
        ruleviews.notification_versions,
        name="notification_versions",
    ),
    path("partnership/filters", noiseviews.drop_filters, name="drop_filters"),
    path("partnership/filters/new", noiseviews.drop_filter_new, name="drop_filter_new"),
    path("partnership/filters/<uuid:pk>", noiseviews.drop_filter, name="drop_filter"),
    path("partnership/filters/<uuid:pk>/switch", noiseviews.drop_filter_switch, name="drop_filter_switch"),
    path("partnership/filters/<uuid:pk>/delete", noiseviews.drop_filter_delete, name="drop_filter_delete"),
    path("partnership/filters/<uuid:pk>/eaten", noiseviews.drop_filter_eaten, name="drop_filter_eaten"),
    path("partnership/windows", noiseviews.maintenance_windows, name="maintenance_windows"),
    path("partnership/windows/new", noiseviews.window_new, name="window_new"),
    path("partnership/windows/<uuid:pk>", noiseviews.window, name="window"),
    path("partnership/windows/<uuid:pk>/end", noiseviews.window_end, name="window_end"),
    path("partnership/windows/<uuid:pk>/extend", noiseviews.window_extend, name="window_extend"),
    path("partnership/windows/<uuid:pk>/delete", noiseviews.window_delete, name="window_delete"),
    path("partnership/noise", noiseviews.noise, name="noise"),
    path("partnership/noise/preset", noiseviews.noise_preset, name="noise_preset"),
    path("partnership/replays", replayviews.replay_lab, name="replay_lab"),
    path("partnership/replays/<uuid:pk>", replayviews.replay, name="replay"),
    path("partnership/replays/<uuid:pk>/progress", replayviews.replay_progress, name="replay_progress"),
    path("partnership/replays/drafts", replayviews.draft_new, name="draft_new"),
    path("partnership/replays/drafts/<uuid:pk>", replayviews.rule_draft, name="rule_draft"),
    path("partnership/replays/drafts/<uuid:pk>/delete", replayviews.draft_delete, name="draft_delete"),
    path("partnership/replays/drafts/<uuid:pk>/rule", replayviews.draft_row, name="draft_row"),
    path(
        "partnership/replays/drafts/<uuid:pk>/remove", replayviews.draft_row_remove, name="draft_row_remove"
    ),
    path("partnership/webhooks", ruleviews.webhook_list, name="webhooks"),
    path("partnership/webhooks/new", ruleviews.webhook_new, name="webhook_new"),
    path("partnership/webhooks/<uuid:pk>", ruleviews.webhook, name="webhook"),
    path("partnership/webhooks/<uuid:pk>/secret", ruleviews.webhook_rotate, name="webhook_rotate"),
    path("partnership/webhooks/<uuid:pk>/delete", ruleviews.webhook_delete, name="webhook_delete"),
    path(
        "partnership/webhooks/<uuid:pk>/deliveries", ruleviews.webhook_deliveries, name="webhook_deliveries"
    ),
    path("partnership/webhooks/<uuid:pk>/redeliver", ruleviews.webhook_redeliver, name="webhook_redeliver"),
    path("partnership/mail-settings", ruleviews.mail_settings, name="mail_settings"),
    path("partnership/expectations", noiseviews.expectations, name="expectations"),
    path("partnership/expectations/new", noiseviews.expectation_new, name="expectation_new"),
    path(
        "partnership/expectations/<uuid:pk>/switch", noiseviews.expectation_switch, name="expectation_switch"
    ),
    path("partnership/expectations/<uuid:pk>/learn", noiseviews.expectation_learn, name="expectation_learn"),
    path("held", noiseviews.held, name="held"),
    path("partnership/setup", views.setup, name="setup"),
    path("partnership/setup/<uuid:pk>", settingviews.setup_of, name="setup_of"),
    path("clients/<uuid:pk>/settings", settingviews.client_settings, name="client_settings"),
    path(
        "clients/<uuid:pk>/settings/reset", settingviews.client_settings_reset, name="client_settings_reset"
    ),
    path("clients/<uuid:pk>/settings/address", settingviews.client_address, name="client_address"),
    path("clients/<uuid:pk>/settings/disable", settingviews.client_disable, name="client_disable"),
    path("clients/<uuid:pk>/settings/enable", settingviews.client_enable, name="client_enable"),
    path("clients/<uuid:pk>/settings/catch-up", settingviews.client_catch_up, name="client_catch_up"),
    path(
        "clients/<uuid:pk>/settings/test-ticket", settingviews.client_test_ticket, name="client_test_ticket"
    ),
    path(
        "clients/<uuid:pk>/settings/test-ticket/progress",
        settingviews.test_ticket_progress,
        name="test_ticket_progress",
    ),
    path("clients/accounts/<uuid:pk>/settings", settingviews.account_settings, name="account_settings"),
    path(
        "partnership/ticket-settings/<str:level>/<uuid:pk>/in-effect",
        settingviews.in_effect,
        name="settings_in_effect",
    ),
    path(
        "partnership/ticket-settings/<str:level>/<uuid:pk>/reset", settingviews.reset, name="settings_reset"
    ),
    path("partnership/ticket-settings/<str:level>/<uuid:pk>/undo", settingviews.undo, name="settings_undo"),
    path(
        "partnership/ticket-settings/<str:level>/<uuid:pk>/preview",
        settingviews.preview,
        name="settings_preview",
    ),
    path("staff", staffviews.staff_board, name="staff_board"),
    path("staff/incidents", staffviews.incident_begin, name="incident_begin"),
    path("staff/incidents/<uuid:pk>", staffviews.incident, name="incident"),
    path("staff/incidents/<uuid:pk>/progress", staffviews.incident_progress, name="incident_progress"),
    path("staff/incidents/<uuid:pk>/do", staffviews.incident_carry_out, name="incident_carry_out"),
    path("charts", chartviews.charts_page, name="charts"),
    path("health", healthviews.health_page, name="health"),
    path("partnership/guide", guideviews.guided_setup, name="guided_setup"),
    path("partnership/guide/leave", guideviews.leave, name="guided_leave"),
    path("partnership/guide/<uuid:pk>", guideviews.guided_setup_of, name="guided_setup_of"),
    path("partnership/guide/<uuid:pk>/progress", guideviews.progress, name="guided_progress"),
    path("partnership/guide/<uuid:pk>/do", guideviews.act, name="guided_act"),
    path("clients/<uuid:pk>/activity", views.client_activity, name="client_activity"),
]
