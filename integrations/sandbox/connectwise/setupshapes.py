"""Which fields do the set-up tables and side records of ConnectWise have? In the notation of `shapes`.

Facts of the vendor's OpenAPI document (ConnectWise REST 2026.4): names, kinds, lengths, what is required.
"""

from integrations.sandbox.connectwise.shapes import shape

COMPANY_STATUS = shape(
    "companyStatus",
    """
    id:int~ name:text:50! defaultFlag:bool inactiveFlag:bool notifyFlag:bool disallowSavingFlag:bool
    notificationMessage:text:500 customNoteFlag:bool cancelOpenTracksFlag:bool track:@
    connectWiseId:text
""",
)

COMPANY_TYPE = shape(
    "companyType",
    """
    id:int~ name:text:50! defaultFlag:bool vendorFlag:bool serviceAlertFlag:bool
    serviceAlertMessage:text:150 connectWiseId:text
""",
)

TYPE_ASSOCIATION = shape(
    "companyTypeAssociation",
    """
    id:int~ type:@companyTypes! company:@companies
""",
)

COMPANY_NOTE = shape(
    "companyNote",
    """
    id:int~ text:text! type:@noteTypes flagged:bool enteredBy:text~ company:@companies
""",
)

NOTE_TYPE = shape(
    "companyNoteType",
    """
    id:int~ identifier:text:15 name:text:50! defaultFlag:bool importFlag:bool
""",
)

COMMUNICATION_TYPE = shape(
    "communicationType",
    """
    id:int~ description:text! phoneFlag:bool faxFlag:bool emailFlag:bool defaultFlag:bool
    exchangeXref:text:50 iphoneXref:text:50 androidXref:text:50 googleXref:text:50
""",
)

CONTACT_TYPE = shape(
    "contactType",
    """
    id:int~ description:text:50! defaultFlag:bool serviceAlertFlag:bool serviceAlertMessage:text:150
    connectWiseId:text
""",
)

COMMUNICATION = shape(
    "contactCommunication",
    """
    id:int~ contactId:int type:@communicationTypes! value:text:250! extension:text:15
    defaultFlag:bool mobileGuid:text~ communicationType:Email|Fax|Phone domain:text
""",
)

CONFIGURATION = shape(
    "configuration",
    """
    id:int~ name:text:100! type:@configurationTypes! status:@configurationStatuses
    company:@companies! contact:@contacts site:@sites locationId:int location:@locations
    businessUnitId:int department:@departments deviceIdentifier:text:100 serialNumber:text:250
    modelNumber:text:50 tagNumber:text:50 purchaseDate:date installationDate:date
    installedBy:@members warrantyExpirationDate:date vendorNotes:text notes:text macAddress:text:25
    lastLoginName:text:100 billFlag:bool backupSuccesses:int backupIncomplete:int backupFailed:int
    backupRestores:int lastBackupDate:date backupServerName:text:50 backupBillableSpaceGb:number
    backupProtectedDeviceList:text backupYear:int backupMonth:int ipAddress:text:50
    defaultGateway:text:50 osType:text:250 osInfo:text:250 cpuSpeed:text:100 ram:text:25
    localHardDrives:text parentConfigurationId:int vendor:@companies manufacturer:@manufacturers
    questions:list activeFlag:bool managementLink:text:1000 remoteLink:text:1000 sla:@slas
    mobileGuid:text~ displayVendorFlag:bool companyLocationId:int showRemoteFlag:bool
    showAutomateFlag:bool needsRenewalFlag:bool manufacturerPartNumber:text:50 customFields:list
""",
)

CONFIGURATION_STATUS = shape(
    "configurationStatus",
    """
    id:int~ description:text:50! closedFlag:bool defaultFlag:bool
""",
)

CONFIGURATION_TYPE = shape(
    "configurationType",
    """
    id:int~ name:text:50! inactiveFlag:bool systemFlag:bool
""",
)

REPORT_NOTIFICATION = shape(
    "managementReportNotification",
    """
    id:int~ notifyWho:@! member:@members email:text:50 globalFlag:bool company:@companies
""",
)

REPORT_SETUP = shape(
    "managementReportSetup",
    """
    id:int~ scheduledReportDisabledFlag:bool!
""",
)

MANAGEMENT = shape(
    "management",
    """
    id:int~ runTime:date addedConfigurationStatus:@configurationStatuses!
    deletedConfigurationStatus:@configurationStatuses! integratorLogin:@!
    scheduleExecutiveSummaryReportFlag:bool! executiveSummaryReportScheduleDay:int
    executiveSummaryReportScheduleHour:int executiveSummaryReportScheduleMinute:int
""",
)

MANAGEMENT_BACKUP = shape(
    "managementBackup",
    """
    id:int~ type:@agreementTypes! item:@catalog! billingLevel:Detail|Summary!
""",
)

MANAGEMENT_PRODUCT = shape(
    "managementItSolutionAgreementInterfaceParameter",
    """
    id:int~ managedDevicesIntegration:@ agreementType:@agreementTypes! serverProduct:@catalog
    workstationProduct:@catalog spamStatsProduct:@catalog
""",
)

DEVICES_INTEGRATION = shape(
    "managedDevicesIntegration",
    """
    id:int~ name:text:30! solution:text:30! portalUrl:text:200 loginBy:Global|Member!
    globalLoginUsername:text:50 globalLoginPassword:text:50 defaultBillingLevel:Detail|Summary!
    managementItSetupType:text defaultLocation:@locations defaultDepartment:@departments
    integratorLogin:@ matchOnSerialNumberFlag:bool disableNewCrossReferencesFlag:bool
    configBillCustomerFlag:bool
""",
)

CROSS_REFERENCE = shape(
    "managedDevicesIntegrationCrossReference",
    """
    id:int~ managedDevicesIntegration:@ vendorType:text:255 vendorLevel:text:255
    agreementType:@agreementTypes product:@catalog configurationType:@configurationTypes
    inactiveFlag:bool
""",
)

DEVICES_LOGIN = shape(
    "managedDevicesIntegrationLogin",
    """
    id:int~ managedDevicesIntegration:@ username:text:50! password:text:50 member:@members!
""",
)

DEVICES_NOTIFICATION = shape(
    "managedDevicesIntegrationNotification",
    """
    id:int~ managedDevicesIntegration:@ notifyWho:@! member:@members
    logType:All|Error|NewManagedSolution|NewDeviceType|NewConfiguration|NewAddition|Info!
""",
)

ADJUSTMENT = shape(
    "adjustment",
    """
    id:int~ amount:number description:text:1000 effectiveDate:date agreementId:int customFields:list
""",
)

BOARD_DEFAULT = shape(
    "boardDefault",
    """
    id:int~ board:@boards! serviceType:@types defaultFlag:bool agreementId:int
""",
)

AGREEMENT_SITE = shape(
    "agreementSite",
    """
    id:int~ company:@companies! site:@sites agreementId:int customFields:list
""",
)

AGREEMENT_RECAP = shape(
    "agreementRecap",
    """
    id:int~ adjustmentAmount:number agreementStatus:text name:text availableAmount:number
    companyName:text isUnlimited:text lastInvoiceAmount:text lastInvoiceDate:text
    lastInvoiceNumber:text nextInvoiceAmount:number nextInvoiceDate:text overrunAmount:number
    remainingAmount:number startingAmount:number unbilledOverageAmount:number unbilledPeriods:int
    usedAmount:number
""",
)

BILLING_CYCLE = shape(
    "billingCycle",
    """
    id:int~ identifier:text:5! name:text:50! defaultFlag:bool
    billingOptions:BiMonthly|BiWeekly|Monthly|NotRecurring|Quarterly|SemiAnnual|Weekly|Yearly!
""",
)

BILLING_STATUS = shape(
    "billingStatus",
    """
    id:int~ name:text:30! sortOrder:int defaultFlag:bool closedFlag:bool inactiveFlag:bool
    sentFlag:bool connectWiseId:text
""",
)

BILLING_TERMS = shape(
    "billingTerm",
    """
    id:int~ name:text:50! defaultFlag:bool dueDays:int! termsXref:text:50
""",
)

INVOICE = shape(
    "invoice",
    """
    id:int~ invoiceNumber:text:15
    type:Agreement|CreditMemo|DownPayment|Miscellaneous|Progress|Standard|Consolidated!
    status:@billingStatuses company:@companies! billToCompany:@companies shipToCompany:@companies
    accountNumber:text applyToType:All|Agreement|Project|ProjectPhase|SalesOrder|Ticket
    applyToId:int attention:text:60 shipToAttention:text:60 billingSite:@sites
    billingSiteAddressLine1:text billingSiteAddressLine2:text billingSiteCity:text
    billingSiteState:text billingSiteZip:text billingSiteCountry:text shippingSite:@sites
    shippingSiteAddressLine1:text shippingSiteAddressLine2:text shippingSiteCity:text
    shippingSiteState:text shippingSiteZip:text shippingSiteCountry:text billingTerms:@billingTerms
    reference:text:50 customerPO:text:50 templateSetupId:int invoiceTemplate:@ emailTemplateId:int
    addToBatchEmailList:bool date:date restrictDownpaymentFlag:bool locationId:int
    location:@locations departmentId:int department:@ territoryId:int territory:@locations
    topComment:text bottomComment:text taxableFlag:bool taxCode:@taxCodes internalNotes:text
    downpaymentPreviouslyTaxedFlag:bool serviceTotal:number overrideDownPaymentAmountFlag:bool
    currency:@ dueDate:date expenseTotal:number productTotal:number previousProgressApplied:number
    serviceAdjustmentAmount:number agreementAmount:number downpaymentApplied:number subtotal:number
    total:number remainingDownpayment:number salesTax:number adjustmentReason:text adjustedBy:text
    closedBy:text payments:number credits:number balance:number specialInvoiceFlag:bool
    billingSetupReference:@ ticket:@tickets project:@ phase:@ salesOrder:@ agreement:@agreements
    glBatch:@ unbatchedBatch:@ customFields:list
""",
)

TAX_CODE = shape(
    "taxCode",
    """
    id:int~ identifier:text:8! description:text:50! invoiceCaption:text:25! country:@
    effectiveDate:date! defaultFlag:bool displayOnInvoiceFlag:bool canadaCalculateGSTFlag:bool
    cancelDate:date levelOneRate:number levelOneRateType:Amount|Percent levelOneTaxableMax:number
    levelOneCaption:text:25 levelOneTaxCodeXref:text:50 levelOneAgencyXref:text:100
    levelOneServicesFlag:bool levelOneExpensesFlag:bool levelOneProductsFlag:bool
    levelOneApplySingleUnitFlag:bool levelOneApplySingleUnitMin:number
    levelOneApplySingleUnitMax:number levelTwoRate:number levelTwoRateType:Amount|Percent
    levelTwoTaxableMax:number levelTwoCaption:text:25 levelTwoTaxCodeXref:text:50
    levelTwoAgencyXref:text:100 levelTwoServicesFlag:bool levelTwoExpensesFlag:bool
    levelTwoProductsFlag:bool levelTwoApplySingleUnitFlag:bool levelTwoApplySingleUnitMin:number
    levelTwoApplySingleUnitMax:number levelThreeRate:number levelThreeRateType:Amount|Percent
    levelThreeTaxableMax:number levelThreeCaption:text:25 levelThreeTaxCodeXref:text:50
    levelThreeAgencyXref:text:100 levelThreeServicesFlag:bool levelThreeExpensesFlag:bool
    levelThreeProductsFlag:bool levelThreeApplySingleUnitFlag:bool
    levelThreeApplySingleUnitMin:number levelThreeApplySingleUnitMax:number levelFourRate:number
    levelFourRateType:Amount|Percent levelFourTaxableMax:number levelFourCaption:text:25
    levelFourTaxCodeXref:text:50 levelFourAgencyXref:text:100 levelFourServicesFlag:bool
    levelFourExpensesFlag:bool levelFourProductsFlag:bool levelFourApplySingleUnitFlag:bool
    levelFourApplySingleUnitMin:number levelFourApplySingleUnitMax:number levelFiveRate:number
    levelFiveRateType:Amount|Percent levelFiveTaxableMax:number levelFiveCaption:text:25
    levelFiveTaxCodeXref:text:50 levelFiveAgencyXref:text:100 levelFiveServicesFlag:bool
    levelFiveExpensesFlag:bool levelFiveProductsFlag:bool levelFiveApplySingleUnitFlag:bool
    levelFiveApplySingleUnitMin:number levelFiveApplySingleUnitMax:number levelSixRate:number
    levelSixRateType:Amount|Percent levelSixTaxableMax:number levelSixCaption:text:25
    levelSixTaxCodeXref:text:50 levelSixAgencyXref:text:100 levelSixServicesFlag:bool
    levelSixExpensesFlag:bool levelSixProductsFlag:bool levelSixApplySingleUnitFlag:bool
    levelSixApplySingleUnitMin:number levelSixApplySingleUnitMax:number workRoleIds:list
    addAllWorkRoles:bool removeAllWorkRoles:bool expenseTypeIds:list addAllExpenseTypes:bool
    removeAllExpenseTypes:bool productTypeIds:list addAllProductTypes:bool
    removeAllProductTypes:bool
""",
)

CATEGORY = shape(
    "category",
    """
    id:int~ name:text:50! inactiveFlag:bool priceLevelXref:text:10 integrationXref:text:50
    locationIds:list defaultFlag:bool addAllLocations:bool removeAllLocations:bool
""",
)

SUBCATEGORY = shape(
    "subCategory",
    """
    id:int~ name:text:50! inactiveFlag:bool integrationXref:text:50 defaultFlag:bool
    category:@categories!
""",
)

PRODUCT_TYPE = shape(
    "productType",
    """
    id:int~ name:text:50! inactiveFlag:bool
    typeXref:InventoryPart|NonInventoryPart|OtherCharge|Service defaultFlag:bool
""",
)

UNIT_OF_MEASURE = shape(
    "unitOfMeasure",
    """
    id:int~ name:text:50! inactiveFlag:bool defaultFlag:bool uomScheduleXref:text:31
""",
)

MANUFACTURER = shape(
    "manufacturer",
    """
    id:int~ name:text:50! inactiveFlag:bool
""",
)

SLA = shape(
    "sla",
    """
    id:int~ name:text:25! basedOn:AllHours|Customer|MyCalendar|Custom! customCalendar:@
    defaultFlag:bool applicationOrder:int hiImpactHiUrgency:@priorities
    hiImpactMedUrgency:@priorities hiImpactLowUrgency:@priorities medImpactHiUrgency:@priorities
    medImpactMedUrgency:@priorities medImpactLowUrgency:@priorities lowImpactHiUrgency:@priorities
    lowImpactMedUrgency:@priorities lowImpactLowUrgency:@priorities respondHours:number
    respondPercent:int planWithin:number planWithinPercent:int resolutionHours:number
    resolutionPercent:int
""",
)

SERVICE_LOCATION = shape(
    "serviceLocation",
    """
    id:int~ name:text:30! where:OnSite|Remote|InHouse! defaultFlag:bool
""",
)

IMPACT = shape(
    "impact",
    """
    id:int~ name:text description:text:200! defaultFlag:bool
""",
)

SEVERITY = shape(
    "severity",
    """
    id:int~ name:text description:text:200! defaultFlag:bool
""",
)

TICKET_TASK = shape(
    "serviceTask",
    """
    id:int~ ticketId:int notes:text closedFlag:bool priority:int schedule:@ code:@ member:@members
    resolution:text childScheduleAction:Transfer|Delete|Done childTicketId:int summary:text
""",
)

LOCATION = shape(
    "location",
    """
    id:int~ ownerLevelId:int structureLevel:@! name:text:50! manager:@members reportsTo:@locations
    salesRep:text:50 timeZoneSetup:@ calendar:@ overrideAddressLine1:text:50
    overrideAddressLine2:text:50 overrideCity:text:50 overrideState:text:50 overrideZip:text:12
    overrideCountry:@ overridePhoneNumber:text:15 overrideFaxNumber:text:15 owaUrl:text:100
    payrollXref:text:10 locationFlag:bool clientFlag:bool workRoleIds:list departmentIds:list
""",
)

DEPARTMENT = shape(
    "department",
    """
    id:int~ identifier:text:15! name:text:50!
""",
)

INTEGRATOR_TAG = shape(
    "integratorTag",
    """
    id:int~ text:text:50!
""",
)

LINK = shape(
    "link",
    """
    id:int~ name:text:50! tableReferenceId:int url:text:1000
    screenLink:Company|Contact|Service|Invoice|PurchaseOrder|SalesOrder
""",
)

SECURITY_ROLE = shape(
    "securityRole",
    """
    id:int~ name:text:30! roleType:text:30 adminFlag:bool inactiveFlag:bool
""",
)

DOCUMENT = shape(
    "documentInfo",
    """
    id:int~ title:text fileName:text serverFileName:text owner:text linkFlag:bool imageFlag:bool
    publicFlag:bool htmlTemplateFlag:bool readOnlyFlag:bool size:int urlFlag:bool createdOnDate:text
    documentType:@ guid:text
""",
)

HOSTED_SCREEN = shape(
    "connectWiseHostedScreen",
    """
    id:int~ screenId:text name:text
""",
)

HOSTED_SETUP = shape(
    "connectWiseHostedSetup",
    """
    id:int~ screenId:int! description:text:50! url:text:1024! type:Tab|Pod|ToolbarButton!
    clientId:text:36 origin:text:100 podHeight:int toolbarButtonDialogHeight:int
    toolbarButtonDialogWidth:int toolbarButtonText:text:50 toolbarButtonToolTip:text:50
    toolbarButtonIconDocumentId:int disabledFlag:bool locationIds:list locationsEnabledFlag:bool
    createdBy:text~ dateCreated:text~
""",
)

ALLOWED_ORIGIN = shape(
    "allowedOrigin",
    """
    id:int~ origin:text:2000! description:text:2000! lastUpdateUtc:date~ updatedBy:text~
""",
)

MENU_ENTRY = shape(
    "menuEntry",
    """
    id:int~ menuLocation:@! caption:text:50! link:text:2000! newWindowFlag:bool! locationIds:list
    origin:text:2000 clientId:text:36 addAllLocations:bool removeAllLocations:bool
    smallMenuIconId:int largeMenuIconId:int
""",
)

USER_DEFINED_FIELD = shape(
    "userDefinedField",
    """
    id:int~ podId:int! caption:text:25! sequenceNumber:int! screenId:text:25 helpText:text:1000
    fieldTypeIdentifier:TextArea|Button|Currency|Date|Hyperlink|IPAddress|Checkbox|Number|Percent|PhoneNumber|Text|Password!
    numberDecimals:int entryTypeIdentifier:Date|EntryField|List|Option requiredFlag:bool
    displayOnScreenFlag:bool readOnlyFlag:bool listViewFlag:bool buttonUrl:text:1000 options:list
    businessUnitIds:list locationIds:list addAllBusinessUnits:bool+ removeAllBusinessUnits:bool+
    addAllLocations:bool+ removeAllLocations:bool+ connectWiseID:text dateCreated:date~
""",
)
