"""REST addresses of this room."""

from django.urls import path

from integrations import api, connectionapi, mappingapi, repointapi, searchapi

urlpatterns = [
    path("company-links", mappingapi.CompanyLinks.as_view(), name="api-company-links"),
    path("company-links/unmapped", mappingapi.Unmapped.as_view(), name="api-company-links-unmapped"),
    path("company-links/bulk", mappingapi.Bulk.as_view(), name="api-company-links-bulk"),
    path("company-links/<uuid:pk>", mappingapi.OneCompanyLink.as_view(), name="api-company-link"),
    path("connections", connectionapi.Connections.as_view(), name="api-connections"),
    path("connections/<uuid:pk>", connectionapi.OneConnection.as_view(), name="api-connection"),
    path("connections/<uuid:pk>/choices", connectionapi.Choices.as_view(), name="api-connection-choices"),
    path("connections/<uuid:pk>/options", connectionapi.Options.as_view(), name="api-connection-options"),
    path("connections/<uuid:pk>/test", api.ConnectionTest.as_view(), name="api-connection-test"),
    path("connections/<uuid:pk>/change", repointapi.ConnectionChange.as_view(), name="api-connection-change"),
    path(
        "connections/<uuid:pk>/change/confirm",
        repointapi.ConfirmedChange.as_view(),
        name="api-connection-change-confirm",
    ),
    path("saved-searches", searchapi.SavedSearches.as_view(), name="api-saved-searches"),
    path("saved-searches/<uuid:pk>", searchapi.OneSavedSearch.as_view(), name="api-saved-search"),
    path("deliveries", api.Deliveries.as_view(), name="api-deliveries"),
    path("deliveries/reprocess", api.ReprocessMany.as_view(), name="api-deliveries-reprocess"),
    path("deliveries/bulk/<uuid:pk>", api.OneBulk.as_view(), name="api-bulk"),
    path("deliveries/<uuid:pk>", api.OneDelivery.as_view(), name="api-delivery"),
    path("deliveries/<uuid:pk>/reprocess", api.ReprocessOne.as_view(), name="api-delivery-reprocess"),
]
