"""Which fields does each Autotask entity have, of what kind and length, and who may set them?

Names from the vendor's REST document (Autotask REST v1.0, June 2026), flags and lengths from the field metadata of a
database (2021), in the notation of `fields.py`.
"""

from integrations.sandbox.autotask.fields import Shape, shape

SHAPES: dict[str, Shape] = {}


def _add(entity: str, singular: str, notation: str, *, udfs: bool = False) -> None:
    SHAPES[entity] = shape(entity, singular, notation, udfs=udfs)


_add(
    "Tickets",
    "Ticket",
    """
    id:long~ apiVendorID:pick~ assignedResourceID:@Resources assignedResourceRoleID:@Roles
    billingCodeID:@BillingCodes changeApprovalBoard:pick changeApprovalStatus:pick
    changeApprovalType:pick changeInfoField1:text:8000 changeInfoField2:text:8000
    changeInfoField3:text:8000 changeInfoField4:text:8000 changeInfoField5:text:8000
    companyID:@Companies! companyLocationID:@CompanyLocations completedByResourceID:@Resources~
    completedDate:date~ configurationItemID:@ConfigurationItems contactID:@Contacts
    contractID:@Contracts contractServiceBundleID:@ContractServiceBundles
    contractServiceID:@ContractServices createDate:date~ createdByContactID:@Contacts
    creatorResourceID:@Resources~ creatorType:pick~- currentServiceThermometerRating:pick~
    description:text:8000 dueDateTime:date estimatedHours:double externalID:text:50
    firstResponseAssignedResourceID:@Resources~ firstResponseDateTime:date~
    firstResponseDueDateTime:date~ firstResponseInitiatingResourceID:@Resources~
    hoursToBeScheduled:double~ impersonatorCreatorResourceID:@Resources~ isAssignedToComanaged:bool
    issueType:pick isVisibleToComanaged:bool lastActivityDate:date~ lastActivityPersonType:pick~-
    lastActivityResourceID:@Resources~ lastCustomerNotificationDateTime:date~
    lastCustomerVisibleActivityDateTime:date~ lastTrackedModificationDateTime:date~ monitorID:long
    monitorTypeID:pick opportunityID:int organizationalLevelAssociationID:int
    previousServiceThermometerRating:pick~ priority:pick! problemTicketId:@Tickets projectID:int
    purchaseOrderNumber:text:50 queueID:pick resolution:text:32000 resolutionPlanDateTime:date~
    resolutionPlanDueDateTime:date~ resolvedDateTime:date~ resolvedDueDateTime:date~ rmaStatus:pick
    rmaType:pick rmmAlertID:text:50~ serviceLevelAgreementHasBeenMet:bool~ serviceLevelAgreementID:pick
    serviceLevelAgreementPausedNextEventHours:double~- serviceThermometerTemperature:int~ source:pick
    status:pick! subIssueType:pick<issueType ticketCategory:pick ticketNumber:text:50 ticketType:pick
    title:text:255!
""",
    udfs=True,
)

_add(
    "TicketNotes",
    "TicketNote",
    """
    id:long~ createDateTime:date~ createdByContactID:@Contacts~ creatorResourceID:@Resources~
    description:text:32000! impersonatorCreatorResourceID:@Resources~
    impersonatorUpdaterResourceID:@Resources~ lastActivityDate:date~ noteType:pick! publish:pick!
    ticketID:@Tickets! title:text:250
""",
)

_add(
    "TicketCategories",
    "TicketCategory",
    """
    id:long~ displayColorRGB:pick! isActive:bool! isApiOnly:bool isGlobalDefault:bool~ name:text:30!
    nickname:text:3
""",
)

_add(
    "TicketCategoryFieldDefaults",
    "TicketCategoryFieldDefaults",
    """
    id:long~ description:text estimatedHours:double issueTypeID:pick=Tickets.issueType
    organizationalLevelAssociationID:int priority:pick=Tickets.priority purchaseOrderNumber:text
    queueID:pick=Tickets.queueID resolution:text
    serviceLevelAgreementID:pick=Tickets.serviceLevelAgreementID sourceID:pick=Tickets.source
    status:pick=Tickets.status subIssueTypeID:pick=Tickets.subIssueType
    ticketCategoryID:@TicketCategories ticketTypeID:pick=Tickets.ticketType title:text
    workTypeID:@BillingCodes
""",
)

_add(
    "TicketHistory",
    "TicketHistory",
    """
    id:long~- action:text:100- date:date- detail:text:1800- resourceID:@Resources- ticketID:@Tickets
""",
)

_add(
    "TicketAdditionalConfigurationItems",
    "TicketAdditionalConfigurationItem",
    """
    id:long~ configurationItemID:@ConfigurationItems ticketID:@Tickets
""",
)

_add(
    "DeletedTicketLogs",
    "DeletedTicketLog",
    """
    id:long~ ticketID:long ticketNumber:text ticketTitle:text deletedByResourceID:long
    deletedDateTime:date
""",
)

_add(
    "Companies",
    "Company",
    """
    id:long~ additionalAddressInformation:text:100 address1:text:128 address2:text:128
    alternatePhone1:text:25 alternatePhone2:text:25 apiVendorID:pick~ assetValue:double-
    billToCompanyLocationID:@CompanyLocations billToAdditionalAddressInformation:text:100~
    billingAddress1:text billingAddress2:text billToAddressToUse:pick~ billToAttention:text:50
    billToCity:text:50~ billToCountryID:int~ billToState:text:128~ billToZipCode:text:50~ city:text:30
    classification:int companyCategoryID:int companyName:text:100! companyNumber:text:50
    companyType:pick! competitorID:pick countryID:int createDate:date~ createdByResourceID:@Resources~
    currencyID:int fax:text:25 impersonatorCreatorResourceID:@Resources~ invoiceEmailMessageID:int
    invoiceMethod:pick invoiceNonContractItemsToParentCompany:bool invoiceTemplateID:int isActive:bool
    isClientPortalActive:bool~ isEnabledForComanaged:bool isSample:bool isTaskFireActive:bool~
    isTaxExempt:bool lastActivityDate:date~ lastTrackedModifiedDateTime:date~ marketSegmentID:pick
    ownerResourceID:@Resources! parentCompanyID:@Companies phone:text:25! postalCode:text:10
    purchaseOrderTemplateID:pick quoteEmailMessageID:int quoteTemplateID:int sicCode:text:32-
    state:text:40 stockMarket:text:10- stockSymbol:text:10- surveyCompanyRating:double~ taxID:text:50
    taxRegionID:int territoryID:pick webAddress:text:255
""",
    udfs=True,
)

_add(
    "Contacts",
    "Contact",
    """
    id:long~ additionalAddressInformation:text:100 addressLine:text:128 addressLine1:text:128
    alternatePhone:text:32 apiVendorID:pick~ bulkEmailOptOutTime:date~ city:text:32
    companyID:@Companies!^ companyLocationID:@CompanyLocations countryID:int createDate:date~
    emailAddress:text:254 emailAddress2:text:254 emailAddress3:text:254 extension:text:10
    externalID:text:50 facebookUrl:text:200 faxNumber:text:25 firstName:text:50!
    impersonatorCreatorResourceID:@Resources~ isActive:int! isOptedOutFromBulkEmail:bool
    lastActivityDate:date~ lastModifiedDate:date~ lastName:text:50! linkedInUrl:text:200
    middleInitial:text:50 mobilePhone:text:25 namePrefix:pick nameSuffix:pick note:text:50
    receivesEmailNotifications:bool phone:text:25 primaryContact:bool billingContact:bool
    roomNumber:text:50 solicitationOptOut:bool~- solicitationOptOutTime:date~ state:text:40
    surveyOptOut:bool~- title:text:50 twitterUrl:text:200 zipCode:text:16
""",
    udfs=True,
)

_add(
    "CompanyLocations",
    "CompanyLocation",
    """
    id:long~ address1:text:128 address2:text:128 alternatePhone1:text:25 alternatePhone2:text:25
    city:text:50 companyID:@Companies!^ countryID:int description:text:500 fax:text:25 isActive:bool
    isPrimary:bool isTaxExempt:bool overrideCompanyTaxSettings:bool name:text:100! phone:text:25
    postalCode:text:20 roundtripDistance:double state:text:25 taxRegionID:int
""",
)

_add(
    "Contracts",
    "Contract",
    """
    id:long~ billingPreference:pick billToCompanyContactID:@Contacts billToCompanyID:@Companies
    companyID:@Companies!^ contactID:@Contacts contactName:text:250 contractCategory:pick
    contractExclusionSetID:int contractName:text:100! contractNumber:text:50 contractPeriodType:pick^
    contractType:pick!^ description:text:2000 endDate:day! estimatedCost:double estimatedHours:double
    estimatedRevenue:double exclusionContractID:@Contracts~ internalCurrencyOverageBillingRate:double~
    internalCurrencySetupFee:double~ isCompliant:bool isDefaultContract:bool lastModifiedDateTime:date
    opportunityID:int organizationalLevelAssociationID:int overageBillingRate:double
    purchaseOrderNumber:text:50 renewedContractID:@Contracts serviceLevelAgreementID:pick
    setupFee:double setupFeeBillingCodeID:@BillingCodes startDate:day! status:pick!
    timeReportingRequiresStartAndStopTimes:pick!
""",
    udfs=True,
)

_add(
    "ContractServices",
    "ContractService",
    """
    id:long~ contractID:@Contracts!^ internalCurrencyAdjustedPrice:double~
    internalCurrencyUnitPrice:double~ internalDescription:text:100 invoiceDescription:text:1000
    quoteItemID:long~ serviceID:@Services!^ unitCost:double unitPrice:double^
""",
)

_add(
    "ContractServiceUnits",
    "ContractServiceUnit",
    """
    id:long~ approveAndPostDate:date~ contractID:@Contracts!^ contractServiceID:@ContractServices
    cost:double~ endDate:day!^ internalCurrencyPrice:double~ organizationalLevelAssociationID:int~
    price:double~ serviceID:@Services!^ startDate:day!^ units:int!^ vendorCompanyID:@Companies~
""",
)

_add(
    "ContractServiceAdjustments",
    "ContractServiceAdjustment",
    """
    id:long~ adjustedUnitCost:double adjustedUnitPrice:double allowRepeatService:bool
    contractID:@Contracts contractServiceID:@ContractServices effectiveDate:day! quoteItemID:int
    serviceID:@Services unitChange:int
""",
)

_add(
    "ContractServiceBundles",
    "ContractServiceBundle",
    """
    id:long~ adjustedPrice:double contractID:@Contracts!^ internalCurrencyAdjustedPrice:double~
    internalCurrencyUnitPrice:double~ internalDescription:text:100 invoiceDescription:text:1000
    quoteItemID:long~ serviceBundleID:@ServiceBundles!^ unitPrice:double
""",
)

_add(
    "ContractServiceBundleUnits",
    "ContractServiceBundleUnit",
    """
    id:long~ approveAndPostDate:date contractID:@Contracts
    contractServiceBundleID:@ContractServiceBundles cost:double endDate:day internalCurrencyPrice:double
    organizationalLevelAssociationID:int price:double serviceBundleID:@ServiceBundles startDate:day
    units:int
""",
)

_add(
    "ContractServiceBundleAdjustments",
    "ContractServiceBundleAdjustment",
    """
    id:long~ adjustedUnitPrice:double allowRepeatServiceBundle:bool contractID:@Contracts
    contractServiceBundleID:@ContractServiceBundles effectiveDate:day! quoteItemID:int
    serviceBundleID:@ServiceBundles unitChange:int
""",
)

_add(
    "ContractCharges",
    "ContractCharge",
    """
    id:long~ billableAmount:double~ billingCodeID:@BillingCodes chargeType:pick! contractID:@Contracts!
    contractServiceBundleID:@ContractServiceBundles contractServiceID:@ContractServices createDate:date~
    creatorResourceID:@Resources~ datePurchased:day! description:text:2000 extendedCost:double~
    internalCurrencyBillableAmount:double~ internalCurrencyUnitPrice:double~
    internalPurchaseOrderNumber:text:50 isBillableToCompany:bool isBilled:bool~ name:text:100!
    notes:text:2000 organizationalLevelAssociationID:int~ productID:@Products
    purchaseOrderNumber:text:50 status:pick~ statusLastModifiedBy:long~ statusLastModifiedDate:date~
    unitCost:double unitPrice:double unitQuantity:double!
""",
)

_add(
    "TicketCharges",
    "TicketCharge",
    """
    id:long~ billableAmount:double~ billingCodeID:@BillingCodes chargeType:pick=ContractCharges.chargeType!
    contractServiceBundleID:@ContractServiceBundles contractServiceID:@ContractServices createDate:date~
    creatorResourceID:@Resources~ datePurchased:day! description:text:2000 extendedCost:double~
    internalCurrencyBillableAmount:double~ internalCurrencyUnitPrice:double~
    internalPurchaseOrderNumber:text:50 isBillableToCompany:bool isBilled:bool~ name:text:100!
    notes:text:2000 organizationalLevelAssociationID:int~ productID:@Products
    purchaseOrderNumber:text:50 status:pick=ContractCharges.status~ statusLastModifiedBy:long~
    statusLastModifiedDate:date~ ticketID:@Tickets! unitCost:double unitPrice:double unitQuantity:double!
""",
)

_add(
    "ConfigurationItemBillingProductAssociations",
    "ConfigurationItemBillingProductAssociation",
    """
    id:long~ billingProductID:@Products!^ configurationItemID:@ConfigurationItems!^ effectiveDate:day!
    expirationDate:day
""",
)

_add(
    "IntegrationVendorInsights",
    "IntegrationVendorInsight",
    """
    id:long~ createDateTime:date~ description:text height:int insightCategory:int insightKey:text
    isActive:bool lastModifiedDateTime:date~ referenceUrl:text! secret:text title:text!
    vendorSuppliedID:text
""",
)

_add(
    "IntegrationVendorWidgets",
    "IntegrationVendorWidget",
    """
    id:long~ createDateTime:date~ description:text isActive:bool lastModifiedDateTime:date~
    referenceUrl:text! secret:text title:text! vendorSuppliedID:text widgetKey:text width:int
""",
)

_add(
    "Services",
    "Service",
    """
    id:long~ billingCodeID:@BillingCodes! createDate:date~ creatorResourceID:@Resources~
    description:text:400 invoiceDescription:text:1000 isActive:bool lastModifiedDate:date~
    markupRate:double~ name:text:150! periodType:pick! serviceLevelAgreementID:pick unitCost:double
    unitPrice:double! updateResourceID:@Resources~ vendorCompanyID:@Companies
    manufacturerServiceProvider:text manufacturerServiceProviderProductNumber:text
    catalogNumberPartNumber:text sku:text internalID:text externalID:text url:text
""",
    udfs=True,
)

_add(
    "ServiceBundles",
    "ServiceBundle",
    """
    id:long~ billingCodeID:@BillingCodes! createDate:date~ creatorResourceID:@Resources~
    description:text:200 invoiceDescription:text:1000 isActive:bool lastModifiedDate:date~
    name:text:150! percentageDiscount:double periodType:pick!^ serviceLevelAgreementID:pick
    unitCost:double~ unitDiscount:double unitPrice:double updateResourceID:@Resources~
    manufacturerServiceProvider:text manufacturerServiceProviderProductNumber:text
    catalogNumberPartNumber:text sku:text internalID:text externalID:text url:text
""",
    udfs=True,
)

_add(
    "ServiceBundleServices",
    "ServiceBundleService",
    """
    id:long~ serviceBundleID:@ServiceBundles serviceID:@Services
""",
)

_add(
    "BillingCodes",
    "BillingCode",
    """
    id:long~ afterHoursWorkType:int billingCodeType:pick department:int description:text:500
    externalNumber:text:100 generalLedgerAccount:int isActive:bool! isExcludedFromNewContracts:bool
    markupRate:double~ name:text:200 taxCategoryID:int unitCost:double! unitPrice:double! useType:pick
""",
)

_add(
    "BillingItems",
    "BillingItem",
    """
    id:long~ accountManagerWhenApprovedID:int~ billingCodeID:@BillingCodes~ taxCategoryID:int
    billingItemType:pick!^ companyID:@Companies~ configurationItemID:@ConfigurationItems~
    contractBlockID:int contractChargeID:long~ contractID:@Contracts~ contractServiceAdjustmentID:int
    contractServiceBundleAdjustmentID:int contractServiceBundleID:@ContractServiceBundles
    contractServiceBundlePeriodID:int contractServiceID:@ContractServices contractServicePeriodID:int
    description:text:2000~ expenseItemID:int~ extendedPrice:double~
    internalCurrencyExtendedPrice:double~ internalCurrencyRate:double~
    internalCurrencyTaxDollars:double~ internalCurrencyTotalAmount:double~ invoiceID:int~
    itemApproverID:int~ itemDate:day~ itemName:text:255~ lineItemFullDescription:text:8000~-
    lineItemGroupDescription:text:8000~- milestoneID:long~ nonBillable:int!^
    organizationalLevelAssociationID:int~ ourCost:double~ postedDate:date~ postedOnTime:date~
    projectChargeID:long~ projectID:int~ purchaseOrderNumber:text:50~ quantity:double~ rate:double~
    roleID:@Roles~ serviceBundleID:@ServiceBundles~ serviceID:@Services~ sortOrderID:long subType:pick!^
    taskID:int~ taxDollars:double~ ticketChargeID:long~ ticketID:@Tickets~ timeEntryID:int~
    totalAmount:double~ vendorID:@Companies~ webServiceDate:day
""",
)

_add(
    "Products",
    "Product",
    """
    id:long~ billingType:pick~ chargeBillingCodeID:@BillingCodes createdByResourceID:@Resources
    createdTime:date defaultVendorID:@Companies description:text:2000 doesNotRequireProcurement:bool
    externalProductID:text:50 impersonatorCreatorResourceID:@Resources~ internalProductID:text:50
    isActive:bool! isEligibleForRma:bool isSerialized:bool! link:text:500 manufacturerName:text:100
    manufacturerProductName:text:50 markupRate:double~ msrp:double name:text:100! periodType:pick
    priceCostMethod:pick~ productBillingCodeID:@BillingCodes! productCategory:pick sku:text:50
    unitCost:double unitPrice:double vendorProductNumber:text:50
    defaultInstalledProductCategoryID:@ConfigurationItemCategories
""",
    udfs=True,
)

_add(
    "ConfigurationItems",
    "ConfigurationItem",
    """
    id:long~ apiVendorID:pick~ configurationItemCategoryID:@ConfigurationItemCategories
    companyID:@Companies!^ companyLocationID:@CompanyLocations configurationItemType:pick
    contactID:@Contacts contractID:@Contracts contractServiceBundleID:@ContractServiceBundles
    contractServiceID:@ContractServices createDate:date~ createdByPersonID:int~ dailyCost:double
    dattoAvailableKilobytes:long~ dattoDeviceMemoryMegabytes:int~ dattoDrivesErrors:bool~
    dattoHostname:text:255~ dattoInternalIP:text:255~ dattoKernelVersionID:pick~
    dattoLastCheckInDateTime:date~ dattoNICSpeedKilobitsPerSecond:int~ dattoNumberOfAgents:int~
    dattoNumberOfDrives:int~ dattoNumberOfVolumes:int~ dattoOffsiteUsedBytes:long~
    dattoOSVersionID:pick~ dattoPercentageUsed:double~ dattoProtectedKilobytes:long~
    dattoRemoteIP:text:255~ dattoSerialNumber:text:100~ dattoUptimeSeconds:int~ dattoUsedKilobytes:long~
    dattoZFSVersionID:pick~ deviceNetworkingID:text:100~ domain:text domainRegistrarID:int
    domainRegistrationDateTime:date domainLastUpdatedDateTime:date domainExpirationDateTime:date
    hourlyCost:double impersonatorCreatorResourceID:@Resources~ installDate:day
    installedByContactID:int~ installedByID:int~ isActive:bool! lastActivityPersonID:int~
    lastActivityPersonType:pick~- lastModifiedTime:date~ location:text:100 monthlyCost:double
    notes:text:5000 numberOfUsers:double parentConfigurationItemID:@ConfigurationItems perUseCost:double
    productID:@Products! referenceNumber:text:100 referenceTitle:text:200
    rmmDeviceAuditAntivirusStatusID:pick~ rmmDeviceAuditArchitectureID:pick~
    rmmDeviceAuditBackupStatusID:pick~ rmmDeviceAuditDescription:text:255~
    rmmDeviceAuditDeviceTypeID:pick~ rmmDeviceAuditDisplayAdaptorID:pick~ rmmDeviceAuditDomainID:pick~
    rmmDeviceAuditExternalIPAddress:text:255~ rmmDeviceAuditHostname:text:255~
    rmmDeviceAuditIPAddress:text:255~ rmmDeviceAuditLastUser:text:50~ rmmDeviceAuditMacAddress:text:255~
    rmmDeviceAuditManufacturerID:pick~ rmmDeviceAuditFirmwareID:int rmmDeviceAuditMemoryBytes:long~
    rmmDeviceAuditMissingPatchCount:int~ rmmDeviceAuditMobileNetworkOperatorID:pick~
    rmmDeviceAuditMobileNumber:text:255~ rmmDeviceAuditModelID:pick~ rmmDeviceAuditMotherboardID:pick~
    rmmDeviceAuditOperatingSystem:text:255~- rmmDeviceAuditPatchStatusID:pick~
    rmmDeviceAuditProcessorID:pick~ rmmDeviceAuditServicePackID:pick~
    rmmDeviceAuditSNMPContact:text:255~ rmmDeviceAuditSNMPLocation:text:255~
    rmmDeviceAuditSNMPName:text:255~ rmmDeviceAuditSoftwareStatusID:pick~
    rmmDeviceAuditStorageBytes:long~ rmmDeviceID:long~ rmmDeviceUID:text:255~ rmmVsaxDeviceID:text
    rmmOpenAlertCount:int~ serialNumber:text:100 serviceBundleID:@ServiceBundles serviceID:@Services
    serviceLevelAgreementID:pick setupFee:double sourceChargeID:int~ sourceChargeType:pick~
    sslSource:text sslCommonName:text sslValidFromDateTime:date sslValidUntilDateTime:date
    sslIssuedBy:text sslOrganization:text sslOrganizationUnit:text sslLocation:text sslSerialNumber:text
    sslSignatureAlgorithm:text vendorID:@Companies warrantyExpirationDate:day
    rmmIsInMaintenanceMode:bool rmmIsMobileDeviceManagementEnrolled:bool rmmDeviceUrl:text
""",
    udfs=True,
)

_add(
    "ConfigurationItemTypes",
    "ConfigurationItemType",
    """
    id:long~ isActive:bool! name:text:100!
""",
)

_add(
    "ConfigurationItemCategories",
    "ConfigurationItemCategory",
    """
    id:long~ displayColorRGB:int isActive:bool isClientPortalDefault:bool isGlobalDefault:bool name:text
    nickname:text
""",
)

_add(
    "ConfigurationItemCategoryUdfAssociations",
    "ConfigurationItemCategoryUdfAssociation",
    """
    id:long~ configurationItemCategoryID:@ConfigurationItemCategories isRequired:bool
    userDefinedFieldDefinitionID:@UserDefinedFieldDefinitions
""",
)

_add(
    "ConfigurationItemNotes",
    "ConfigurationItemNote",
    """
    id:long~ configurationItemID:@ConfigurationItems createDateTime:date creatorResourceID:@Resources
    description:text impersonatorCreatorResourceID:@Resources impersonatorUpdaterResourceID:@Resources
    lastActivityDate:date noteType:int title:text
""",
)

_add(
    "Resources",
    "Resource",
    """
    id:long~ accountingReferenceID:text dateFormat:text defaultServiceDeskRoleID:@Roles email:text
    email2:text email3:text emailTypeCode:text emailTypeCode2:text emailTypeCode3:text firstName:text
    gender:text greeting:int hireDate:day homePhone:text initials:text internalCost:double isActive:bool
    lastName:text licenseType:int locationID:int middleName:text mobilePhone:text numberFormat:text
    officeExtension:text officePhone:text payrollIdentifier:text payrollType:int resourceType:text
    suffix:int surveyResourceRating:double timeFormat:text title:text travelAvailabilityPct:text
    userName:text userType:int
""",
)

_add(
    "Roles",
    "Role",
    """
    id:long~ description:text:200 hourlyFactor:double! hourlyRate:double! isActive:bool!
    isExcludedFromNewContracts:bool isSystemRole:bool~ name:text:200! quoteItemDefaultTaxCategoryId:int
    roleType:int~
""",
)

_add(
    "ResourceRoles",
    "ResourceRole",
    """
    id:long~ departmentID:@Departments isActive:bool queueID:pick=Tickets.queueID resourceID:@Resources
    roleID:@Roles
""",
)

_add(
    "ResourceRoleQueues",
    "ResourceRoleQueue",
    """
    id:long~ queueID:pick=Tickets.queueID resourceID:@Resources
""",
)

_add(
    "Departments",
    "Department",
    """
    id:long~ description:text name:text number:text primaryLocationID:int
""",
)

_add(
    "UserDefinedFieldDefinitions",
    "UserDefinedFieldDefinition",
    """
    id:long~ createDate:date~ crmToProjectUdfId:long dataType:pick! defaultValue:text:1024
    description:text:128 displayFormat:pick isActive:bool isEncrypted:bool isFieldMapping:bool~
    isPrivate:bool isProtected:bool isRequired:bool isVisibleToClientPortal:bool
    mergeVariableName:text:100 name:text:45! numberOfDecimalPlaces:int sortOrder:int udfType:pick!
""",
)

_add(
    "UserDefinedFieldListItems",
    "UserDefinedFieldListItem",
    """
    id:long~ createDate:date isActive:bool udfFieldId:@UserDefinedFieldDefinitions valueForDisplay:text
    valueForExport:text
""",
)

_add(
    "WebhookEventErrorLogs",
    "WebhookEventErrorLog",
    """
    id:long~ accountWebhookID:int~ contactWebhookID:int~ createDateTime:date~ errorMessage:text:8000~
    payload:text:8000~ sequenceNumber:int~
""",
)

WEBHOOK = """
    id:long~ deactivationUrl:text:500! isActive:bool! isReady:bool~ isSubscribedToCreateEvents:bool
    isSubscribedToDeleteEvents:bool isSubscribedToUpdateEvents:bool name:text:50!
    notificationEmailAddress:text:150 ownerResourceID:@Resources~ secretKey:text:64!
    sendThresholdExceededNotification:bool! webhookGUID:text:100~ webhookUrl:text:500!
"""

WEBHOOK_FIELD = """
    id:long~ fieldID:pick!^ isDisplayAlwaysField:bool! isSubscribedField:bool! webhookID:int!^
"""

WEBHOOK_UDF_FIELD = """
    id:long~ isDisplayAlwaysField:bool isSubscribedField:bool udfFieldID:int webhookID:int
"""

WEBHOOK_EXCLUDED = """
    id:long~ resourceID:@Resources webhookID:int
"""
