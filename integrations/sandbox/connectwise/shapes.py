"""Which fields does each ConnectWise record have, of what kind and length, and who may set them?

Facts of the vendor's OpenAPI document (ConnectWise REST 2026.4), copied into our own short notation because
lengths and requirements live in description texts there and a sandbox needs them as data.

    name:kind[:longest][!][~][+]      kind: int number bool text date list any, `A|B` for a choice,
                                      `@table` for a reference, `@table<field` for one that must belong to what
                                      `field` refers to, `@` alone for a reference nobody here keeps a table of
    !  required at creation           ~  set by the server, ignored in bodies
    +  accepted in bodies, never returned
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: str
    longest: int | None = None
    choices: tuple[str, ...] = ()
    table: str | None = None
    within: str | None = None
    required: bool = False
    by_server: bool = False
    not_returned: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    resource: str
    fields: dict[str, Field]


def shape(resource: str, notation: str) -> Shape:
    fields = [_field(word) for word in notation.split()]
    return Shape(resource, {field.name: field for field in fields})


def _field(word: str) -> Field:
    bare = word.rstrip("!~+")
    marks = word[len(bare) :]
    name, kind, *rest = bare.split(":")
    field = Field(name, kind, required="!" in marks, by_server="~" in marks, not_returned="+" in marks)
    if kind.startswith("@"):
        table, _, within = kind[1:].partition("<")
        return replace(field, kind="reference", table=table or None, within=within or None)
    if "|" in kind:
        return replace(field, kind="choice", choices=tuple(kind.split("|")))
    return replace(field, longest=int(rest[0]) if rest else None)


TICKET = shape(
    "ticket",
    """
    id:int~ summary:text:100! recordType:ProjectIssue|ProjectTicket|ServiceTicket board:@boards
    status:@statuses<board workRole:@ workType:@ company:@companies! site:@sites<company
    siteName:text:156 addressLine1:text:50 addressLine2:text:50 city:text:50 stateIdentifier:text:50
    zip:text:12 country:@ contact:@contacts contactName:text:62 contactPhoneNumber:text:20
    contactPhoneExtension:text:15 contactEmailAddress:text:250 type:@types<board subType:@subtypes<board
    item:@items<board team:@teams<board owner:@members priority:@priorities serviceLocation:@serviceLocations
    source:@sources requiredDate:date budgetHours:number opportunity:@ agreement:@agreements
    agreementType:text~ severity:Low|Medium|High impact:Low|Medium|High externalXRef:text:100
    poNumber:text:50 knowledgeBaseCategoryId:int knowledgeBaseSubCategoryId:int
    allowAllClientsPortalView:bool customerUpdatedFlag:bool automaticEmailContactFlag:bool
    automaticEmailResourceFlag:bool automaticEmailCcFlag:bool automaticEmailCc:text:1000
    initialDescription:text+ initialInternalAnalysis:text+ initialResolution:text+
    initialDescriptionFrom:text+ contactEmailLookup:text+ processNotifications:bool+ skipCallback:bool+
    closedDate:date~ closedBy:text~ closedFlag:bool~ actualHours:number~ approved:bool
    estimatedExpenseCost:number estimatedExpenseRevenue:number estimatedProductCost:number
    estimatedProductRevenue:number estimatedTimeCost:number estimatedTimeRevenue:number
    billingMethod:ActualRates|FixedFee|NotToExceed|OverrideRate billingAmount:number hourlyRate:number
    subBillingMethod:ActualRates|FixedFee|NotToExceed|OverrideRate subBillingAmount:number
    subDateAccepted:date dateResolved:date~ dateResplan:date~ dateResponded:date~ resolveMinutes:int~
    resPlanMinutes:int~ respondMinutes:int~ respondByGoalUTC:date~ resplanGoalUTC:date~
    resolutionGoalUTC:date~ escalationLastUpdateMinutes:int~ isInSla:bool~ knowledgeBaseLinkId:int
    resources:text~ parentTicketId:int~ hasChildTicket:bool~ hasMergedChildTicketFlag:bool~
    knowledgeBaseLinkType:Activity|ProjectIssue|KnowledgeBaseArticle|ProjectTicket|ServiceTicket|Time
    billTime:Billable|DoNotBill|NoCharge|NoDefault billExpenses:Billable|DoNotBill|NoCharge|NoDefault
    billProducts:Billable|DoNotBill|NoCharge|NoDefault predecessorType:Ticket|Phase predecessorId:int
    predecessorClosedFlag:bool lagDays:int lagNonworkingDaysFlag:bool estimatedStartDate:date
    duration:int location:@locations department:@departments mobileGuid:text~ sla:@slas slaStatus:text~
    requestForChangeFlag:bool currency:@ mergedParentTicket:@tickets~ integratorTags:list
    escalationStartDateUTC:date~ escalationLevel:int~ minutesBeforeWaiting:int~
    respondedSkippedMinutes:int~ resplanSkippedMinutes:int~ respondedHours:number~ respondedBy:text~
    resplanHours:number~ resplanBy:text~ resolutionHours:number~ resolvedBy:text~ minutesWaiting:int~
    customFields:list
""",
)

NOTE = shape(
    "serviceNote",
    """
    id:int~ ticketId:int~ text:text detailDescriptionFlag:bool internalAnalysisFlag:bool
    resolutionFlag:bool issueFlag:bool member:@members contact:@contacts customerUpdatedFlag:bool
    processNotifications:bool+ dateCreated:date~ createdBy:text~ internalFlag:bool externalFlag:bool
    sentimentScore:number
""",
)

ALL_NOTE = shape(
    "serviceTicketNote",
    """
    id:int~ noteType:TicketNote|TimeEntryNote|MeetingNote ticket:@tickets text:text isMarkdownFlag:bool
    detailDescriptionFlag:bool internalAnalysisFlag:bool resolutionFlag:bool timeStart:text timeEnd:text
    bundledFlag:bool mergedFlag:bool issueFlag:bool originalAuthor:text createdByParentFlag:bool
    member:@members contact:@contacts
""",
)

AUDIT_TRAIL_ENTRY = shape(
    "auditTrailEntry",
    "text:text enteredDate:text enteredBy:text auditType:text auditSubType:text auditSource:text",
)

ADDITION = shape(
    "addition",
    """
    id:int~ product:@catalog! quantity:number lessIncluded:number unitPrice:number unitCost:number
    billCustomer:Billable|DoNotBill|NoCharge! effectiveDate:date cancelledDate:date taxableFlag:bool
    serialNumber:text:50 invoiceDescription:text:6000 purchaseItemFlag:bool specialOrderFlag:bool
    agreementId:int~ description:text billedQuantity:number~ uom:text~ extPrice:number~ extCost:number~
    sequenceNumber:number margin:number~ prorateCost:number~ proratePrice:number~
    extendedProrateCost:number~ extendedProratePrice:number~ prorateCurrentPeriodFlag:bool opportunity:@
    agreementStatus:Active|Cancelled|Expired|Inactive~ invoiceGrouping:@ customFields:list
""",
)

AGREEMENT = shape(
    "agreement",
    """
    id:int~ name:text:100! type:@agreementTypes! company:@companies! contact:@contacts!
    site:@sites<company subContractCompany:@companies subContractContact:@contacts
    parentAgreement:@agreements customerPO:text:50 location:@locations department:@departments restrictLocationFlag:bool
    restrictDepartmentFlag:bool startDate:date endDate:date noEndingDateFlag:bool opportunity:@
    cancelledFlag:bool dateCancelled:date reasonCancelled:text:100 sla:@slas workOrder:text:20
    internalNotes:text applicationUnits:Amount|Hours|Incidents applicationLimit:number
    applicationCycle:Contract2Weeks|Contract4Weeks|ContractYear|CalendarMonth|CalendarQuarter|CalendarWeek|ContractQuarter|CalendarYear
    applicationUnlimitedFlag:bool oneTimeFlag:bool coverAgreementTime:bool coverAgreementProduct:bool
    coverAgreementExpense:bool coverSalesTax:bool carryOverUnused:bool allowOverruns:bool
    expiredDays:int limit:int expireWhenZero:bool chargeToFirm:bool employeeCompRate:Actual|Hourly
    employeeCompNotExceed:Billing|Amount|Percent compHourlyRate:number compLimitAmount:number
    billingCycle:@billingCycles billOneTimeFlag:bool billingTerms:@billingTerms invoicingCycle:ContractYear|CalendarYear
    billToCompany:@companies billToContact:@contacts billToSite:@sites billAmount:number taxable:bool
    prorateFirstBill:number billStartDate:date taxCode:@taxCodes restrictDownPayment:bool prorateFlag:bool
    invoiceProratedAdditionsFlag:bool invoiceDescription:text topComment:bool bottomComment:bool
    workRole:@ workType:@ projectType:@ invoiceTemplate:@ billTime:Billable|DoNotBill|NoCharge|NoDefault
    billExpenses:Billable|DoNotBill|NoCharge|NoDefault
    billProducts:Billable|DoNotBill|NoCharge|NoDefault billableTimeInvoice:bool
    billableExpenseInvoice:bool billableProductInvoice:bool currency:@
    periodType:Current|Future|Both|Undefined autoInvoiceFlag:bool billZeroAmountFlag:bool
    nextInvoiceDate:date~ companyLocation:@ shipToCompany:@companies shipToContact:@contacts
    shipToSite:@sites agreementStatus:Active|Cancelled|Expired|Inactive~ customFields:list
""",
)

AGREEMENT_TYPE = shape(
    "agreementType",
    """
    id:int~ name:text:50! prefixSuffixOption:Prefix|Suffix defaultFlag:bool inactiveFlag:bool
    prePaymentFlag:bool invoicePreSuffix:text:5 location:@locations department:@departments restrictLocationFlag:bool
    restrictDepartmentFlag:bool sla:@slas applicationUnits:Amount|Hours|Incidents applicationLimit:number
    applicationCycle:Contract2Weeks|Contract4Weeks|ContractYear|CalendarMonth|CalendarQuarter|CalendarWeek|ContractQuarter|CalendarYear
    applicationUnlimitedFlag:bool oneTimeFlag:bool coverAgreementTimeFlag:bool
    coverAgreementProductFlag:bool coverAgreementExpenseFlag:bool coverSalesTaxFlag:bool
    carryOverUnusedFlag:bool allowOverrunsFlag:bool expiredDays:int limit:int expireWhenZero:bool
    chargeToFirmFlag:bool employeeCompRate:Actual|Hourly! employeeCompNotExceed:Billing|Amount|Percent!
    compHourlyRate:number compLimitAmount:number billingCycle:@billingCycles billOneTimeFlag:bool
    billingTerms:@billingTerms invoicingCycle:ContractYear|CalendarYear! billAmount:number taxableFlag:bool
    restrictDownPaymentFlag:bool invoiceDescription:text:4000 topCommentFlag:bool bottomCommentFlag:bool
    workRole:@ workType:@ projectType:@ invoiceTemplate:@
    billTime:Billable|DoNotBill|NoCharge|NoDefault! billExpenses:Billable|DoNotBill|NoCharge|NoDefault!
    billProducts:Billable|DoNotBill|NoCharge|NoDefault! billableTimeInvoiceFlag:bool
    billableExpenseInvoiceFlag:bool billableProductInvoiceFlag:bool copyWorkRolesFlag:bool
    copyWorkTypesFlag:bool exclusionWorkRoleIds:list addAllWorkRoleExclusions:bool
    removeAllWorkRoleExclusions:bool exclusionWorkTypeIds:list addAllWorkTypeExclusions:bool
    removeAllWorkTypeExclusions:bool integrationXRef:text:50 prorateFlag:bool emailTemplate:@
    autoInvoiceFlag:bool billZeroAmountFlag:bool invoiceProratedAdditionsFlag:bool connectWiseId:text
""",
)

CATALOG_ITEM = shape(
    "catalogItem",
    """
    id:int~ identifier:text:75! description:text:60! inactiveFlag:bool subcategory:@subcategories! type:@productTypes!
    productClass:Agreement|Bundle|Inventory|NonInventory|Service serializedFlag:bool
    serializedCostFlag:bool phaseProductFlag:bool unitOfMeasure:@unitOfMeasures minStockLevel:int price:number
    cost:number priceAttribute:FixedFee|NotToExceed|OverrideRate|TimeAndMaterials taxableFlag:bool
    dropShipFlag:bool specialOrderFlag:bool customerDescription:text:6000! manufacturer:@manufacturers
    manufacturerPartNumber:text:50 vendor:@companies vendorSku:text:50 notes:text
    integrationXRef:text:50 sla:@slas entityType:@ recurringFlag:bool recurringRevenue:number
    recurringCost:number recurringOneTimeFlag:bool recurringBillCycle:@billingCycles
    recurringCycleType:ContractYear|CalendarYear calculatedPriceFlag:bool calculatedCostFlag:bool
    category:@categories calculatedPrice:number~ calculatedCost:number~
    billableOption:Billable|DoNotBill|NoCharge|NoDefault connectWiseID:text
    agreementType:@agreementTypes~ markupPercentage:number markupFlag:bool autoUpdateUnitCostFlag:bool
    autoUpdateUnitPriceFlag:bool customFields:list
""",
)

REPORT = shape(
    "managementSummaryReport",
    """
    id:int~ managementSolution:@solutions groupIdentifier:text:100!
    deviceType:WorkstationsAndServers|BackupStats|Servers|Workstations agreement:@agreements
    snmpMachines:int totalWorkstations:int totalServers:int totalWindowsServers:int
    totalWindowsWorkstations:int totalManagedMachines:int serversOffline:int serversDiskSpaceLow:int
    failedBackupJobs:int totalNotifications:int successfulBackupJobs:int serverAvailability:int
    virusesRemoved:int spywareItemsRemoved:int windowsPatchesInstalled:int diskCleanups:int
    diskDefragmentations:int fullyPatchedMachines:int missingOneTwoPatchesMachines:int
    missingThreeFivePatchesMachines:int missingMoreFivePatchesMachines:int
    missingUnscannedPatchesMachines:int alertsGenerated:text internetConnectivity:number
    diskSpaceCleanedMb:int missingSecurityPatches:text cpuUtilization:number memoryUtilization:number
    company:@companies
""",
)

SOLUTION = shape(
    "managementItSolution",
    """
    id:int~ name:text:30! managementItSolutionType:LevelPlatforms|NAble|Continuum|Custom!
    managementSolutionName:text:30 managementServerUrl:text:200 webserviceOverrideUrl:text:200
    portalOverrideLoginUrl:text:200 globalLoginFlag:bool globalLoginUsername:text:50
    globalLoginPassword:text:50 usingSslFlag:bool nAbleUsername:text:50 nAblePassword:text:50
    overrideWebServiceLocationFlag:bool overrideLoginLocationFlag:bool continuumApiUsername:text:100
    continuumApiPassword:text:100 levelApiUsername:text:100 levelApiPassword:text:100
    levelVarDomain:text:100 noDisplayFlag:bool
""",
)

COMPANY = shape(
    "company",
    """
    id:int~ identifier:text:156! name:text:156! status:@companyStatuses addressLine1:text:50 addressLine2:text:50
    city:text:50 state:text:50 zip:text:12 country:@ phoneNumber:text:30 faxNumber:text:30
    website:text:255 territory:@locations market:@ accountNumber:text defaultContact:@contacts dateAcquired:date
    sicCode:@ parentCompany:@companies annualRevenue:number creditLimit:number additionalDebt:number
    numberOfEmployees:int yearEstablished:int revenueYear:int ownershipType:@ timeZoneSetup:@
    leadSource:text:50 leadFlag:bool unsubscribeFlag:bool calendar:@ userDefinedField1:text:50
    userDefinedField2:text:50 userDefinedField3:text:50 userDefinedField4:text:50
    userDefinedField5:text:50 userDefinedField6:text:50 userDefinedField7:text:50
    userDefinedField8:text:50 userDefinedField9:text:50 userDefinedField10:text:50 vendorIdentifier:text
    taxIdentifier:text taxCode:@taxCodes billingTerms:@billingTerms invoiceTemplate:@ pricingSchedule:@
    companyEntityType:@     billToCompany:@companies billingSite:@sites billingContact:@contacts invoiceDeliveryMethod:@
    emailTemplate:@ invoiceToEmailAddress:text invoiceCCEmailAddress:text deletedFlag:bool~
    dateDeleted:date~ deletedBy:text~ mobileGuid:text~ facebookUrl:text twitterUrl:text linkedInUrl:text
    currency:@ territoryManager:@members resellerIdentifier:text isVendorFlag:bool types:list
    site:@sites<company integratorTags:list customFields:list
""",
)

CONTACT = shape(
    "contact",
    """
    id:int~ firstName:text lastName:text company:@companies site:@sites<company addressLine1:text
    addressLine2:text city:text state:text zip:text country:@ relationship:@ relationshipOverride:text
    department:@ inactiveFlag:bool defaultMergeContactId:int securityIdentifier:text
    managerContact:@contacts assistantContact:@contacts title:text school:text nickName:text
    marriedFlag:bool childrenFlag:bool children:text significantOther:text portalPassword:text
    portalSecurityLevel:int disablePortalLoginFlag:bool unsubscribeFlag:bool gender:Female|Male
    birthDay:text anniversary:text presence:NoAgent|Online|DoNotDisturb|Away|Offline mobileGuid:text~
    facebookUrl:text twitterUrl:text linkedInUrl:text defaultPhoneType:text defaultPhoneNbr:text
    defaultPhoneExtension:text defaultBillingFlag:bool defaultFlag:bool userDefinedField1:text:50
    userDefinedField2:text:50 userDefinedField3:text:50 userDefinedField4:text:50
    userDefinedField5:text:50 userDefinedField6:text:50 userDefinedField7:text:50
    userDefinedField8:text:50 userDefinedField9:text:50 userDefinedField10:text:50 companyLocation:@
    communicationItems:list types:list integratorTags:list customFields:list photo:@
    ignoreDuplicates:bool typeIds:list
""",
)

SITE = shape(
    "companySite",
    """
    id:int~ name:text:156! addressLine1:text:50 addressLine2:text:50 city:text:50 stateReference:@
    zip:text:12 country:@ addressFormat:text phoneNumber:text:30 phoneNumberExt:text:30
    faxNumber:text:30 taxCode:@ entityType:@ expenseReimbursement:number primaryAddressFlag:bool
    defaultShippingFlag:bool defaultBillingFlag:bool defaultMailingFlag:bool inactiveFlag:bool
    billSeparateFlag:bool mobileGuid:text~ calendar:@ timeZone:@ company:@companies territory:@
    invoiceTemplate:@ customFields:list
""",
)

BOARD = shape(
    "board",
    """
    id:int~ name:text:50! location:@locations! department:@departments! inactiveFlag:bool sendToContactFlag:bool
    sendToResourceFlag:bool projectFlag:bool dispatchMember:@members serviceManagerMember:@members
    billTime:Billable|DoNotBill|NoCharge|NoDefault billExpense:Billable|DoNotBill|NoCharge|NoDefault
    billProduct:Billable|DoNotBill|NoCharge|NoDefault autoCloseStatus:@statuses<board
    discussionsLockedFlag:bool timeEntryLockedFlag:bool emailConnectorAllowReopenClosedFlag:bool
    emailConnectorReopenStatus:@statuses<board
""",
)

STATUS = shape(
    "boardStatus",
    """
    id:int~ name:text:50! board:@boards sortOrder:int displayOnBoard:bool inactive:bool
    closedStatus:bool timeEntryNotAllowed:bool roundRobinCatchall:bool defaultFlag:bool
    escalationStatus:NotResponded|Responded|ResolutionPlan|Resolved|NoEscalation
    customerPortalDescription:text:500 customerPortalFlag:bool emailTemplate:@ statusIndicator:@
    customStatusIndicatorName:text:30 saveTimeAsNote:bool connectWiseId:text parentConnectWiseId:text
    parentId:int grandParentId:int grandParentConnectWiseId:text
""",
)

TYPE = shape(
    "boardType",
    """
    id:int~ name:text:50! category:Reactive|Proactive defaultFlag:bool inactiveFlag:bool
    requestForChangeFlag:bool integrationXref:text:50 skillCategory:@ skill:@ board:@boards location:@
    department:@ connectWiseId:text parentConnectWiseId:text parentId:int grandParentId:int
    grandParentConnectWiseId:text
""",
)

SUBTYPE = shape(
    "boardSubType",
    """
    id:int~ name:text:50! inactiveFlag:bool typeAssociationIds:list addAllTypesFlag:bool
    removeAllTypesFlag:bool board:@boards connectWiseId:text parentConnectWiseId:text parentId:int
    grandParentId:int grandParentConnectWiseId:text
""",
)

ITEM = shape(
    "boardItem",
    """
    id:int~ name:text:50! inactiveFlag:bool board:@boards connectWiseId:text parentConnectWiseId:text
    parentId:int grandParentId:int grandParentConnectWiseId:text
""",
)

TEAM = shape(
    "boardTeam",
    """
    id:int~ name:text:30! teamLeader:@members! members:list defaultFlag:bool notifyOnTicketDelete:bool
    defaultRoundRobinFlag:bool roundRobinFlag:bool boardId:int locationId:int businessUnitId:int
    connectWiseId:text parentConnectWiseId:text parentId:int grandParentId:int
    grandParentConnectWiseId:text
""",
)

ASSOCIATION = shape(
    "boardTypeSubTypeItemAssociation",
    """
    id:int~ type:@types<board subType:@subtypes<board item:@items<board board:@boards
""",
)

PRIORITY = shape(
    "priority",
    """
    id:int~ name:text:50!
    color:Black|Blue|Cyan|Gray|Green|Lime|Orange|Pink|Purple|Red|White|Yellow|Custom! sortOrder:int
    defaultFlag:bool imageLink:text urgencySortOrder:text level:Critical|High|Medium|Low
    connectWiseId:text
""",
)

SOURCE = shape(
    "source",
    """
    id:int~ name:text:50! defaultFlag:bool enteredBy:text~ dateEntered:date~ connectWiseId:text
""",
)

CALLBACK = shape(
    "callback",
    """
    id:int~ description:text:100 url:text! objectId:int! type:text! level:text! memberId:int~
    payloadVersion:text inactiveFlag:bool isSoapCallbackFlag:bool isSelfSuppressedFlag:bool
    connectWiseID:text~
""",
)

MEMBER = shape(
    "member",
    """
    id:int~ identifier:text:15! licenseClass:A|C|F|X! inactiveFlag:bool firstName:text:30!
    middleInitial:text:1 lastName:text:30! hireDate:date! officeEmail:text:250
    defaultEmail:Office|Mobile|Home! defaultPhone:Office|Mobile|Home!
    primaryEmail:text:250 officePhone:text:15 securityRole:@securityRoles!
    title:text type:@ timeZone:@ adminFlag:bool
""",
)
