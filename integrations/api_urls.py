"""REST addresses of this room."""

from django.urls import path

from integrations import api

urlpatterns = [
    path("connections", api.Connections.as_view(), name="api-connections"),
    path("connections/<uuid:pk>/test", api.ConnectionTest.as_view(), name="api-connection-test"),
    path("deliveries", api.Deliveries.as_view(), name="api-deliveries"),
    path("deliveries/reprocess", api.ReprocessMany.as_view(), name="api-deliveries-reprocess"),
    path("deliveries/<uuid:pk>", api.OneDelivery.as_view(), name="api-delivery"),
    path("deliveries/<uuid:pk>/reprocess", api.ReprocessOne.as_view(), name="api-delivery-reprocess"),
]
