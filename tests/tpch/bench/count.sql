select count(*) as n from {database}.lineitem
