"""Addresses of this room's pages."""

from django.urls import path

from integrations import mappingviews, views

urlpatterns = [
    path("partnership/credentials", views.credentials, name="credentials"),
    path("partnership/credentials/<str:level>/<uuid:pk>", views.credentials_of, name="credentials_of"),
    path("connections/<uuid:pk>/test", views.test_it, name="test_it"),
    path("connections/<uuid:pk>/test/progress", views.test_progress, name="test_progress"),
    path("connections/<uuid:pk>/reload", views.reload_options, name="reload_options"),
    path("clients/<uuid:pk>/mapping", mappingviews.client_mapping, name="client_mapping"),
    path("clients/<uuid:pk>/mapping/unmap", mappingviews.client_unmap, name="client_unmap"),
    path("clients/<uuid:pk>/mapping/name", mappingviews.client_accept_name, name="client_accept_name"),
    path("partnership/mapping", mappingviews.overview, name="company_mapping"),
    path("partnership/mapping/<uuid:pk>", mappingviews.table, name="mapping"),
    path("partnership/mapping/<uuid:pk>/options", mappingviews.options, name="mapping_options"),
    path("partnership/mapping/<uuid:pk>/selected", mappingviews.selected, name="mapping_selected"),
    path("partnership/mapping/<uuid:pk>/apply", mappingviews.apply, name="mapping_apply"),
    path("partnership/mapping/<uuid:pk>/suggest", mappingviews.suggest, name="mapping_suggest"),
    path("partnership/mapping/<uuid:pk>/inbox", mappingviews.inbox, name="mapping_inbox"),
    path("partnership/mapping/<uuid:pk>/companies", mappingviews.companies_left, name="mapping_companies"),
    path("partnership/mapping/<uuid:pk>/new-client", mappingviews.new_client, name="mapping_new_client"),
    path("partnership/mapping/<uuid:pk>/catch-all", mappingviews.catch_all, name="mapping_catch_all"),
    path("partnership/mapping/<uuid:pk>/file", mappingviews.sheet, name="mapping_file"),
    path("partnership/mapping/<uuid:pk>/export", mappingviews.export, name="mapping_export"),
    path("events", views.event_log, name="event_log"),
    path("events/parked", views.parked_events, name="parked_events"),
    path("events/reprocess", views.reprocess_selected, name="reprocess_selected"),
    path("events/<uuid:pk>", views.event, name="event"),
    path("deliveries/<uuid:pk>/reprocess", views.reprocess, name="reprocess"),
]
