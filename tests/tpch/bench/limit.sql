select * from {database}.lineitem limit 100
